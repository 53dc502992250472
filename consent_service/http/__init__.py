"""The consent service over HTTP: parse at the edge, ask the service, answer in one shape. No decision is made here."""
