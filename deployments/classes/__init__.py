"""The classes of a model: their labels, what they are as taxa, and a score threshold for each."""
