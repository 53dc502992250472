"""How the person is reached.

contacts   confirmed by a link, changed only with the consent of the old contact
links      single-use links
messages   the text of each mail; `consent_service.mail` sends it
"""
