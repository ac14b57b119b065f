"""Load for both doors, as their real clients make it. Imports no door: it knows them by their wires only."""
