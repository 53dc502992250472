"""The routes, one file for each kind of object. A route parses, asks the service, and answers."""
