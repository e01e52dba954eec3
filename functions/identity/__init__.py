"""How the two services prove to each other who they are; used by both, so the connector's image copies it beside core."""
