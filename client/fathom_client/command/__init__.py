"""The command `fathom`: predict, models, inspect, bench. Uses the client as any program would."""
