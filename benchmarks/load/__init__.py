"""Load generators: closed and open loops over HTTP, Redis jobs, and checks of the answers."""
