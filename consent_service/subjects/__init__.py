"""How the person is reached: contacts, links, messages."""
