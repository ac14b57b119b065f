"""The graph of this project against the original network in PyTorch, for the same checkpoint on the same cores."""
