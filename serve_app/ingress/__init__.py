"""The HTTP door: routes, edge, schemas. CPU only."""
