"""The demo model: drawn scenes, training, evaluation, weights and samples."""
