"""Programs that train the models that we ship. Not part of the server: nothing imports this package."""
