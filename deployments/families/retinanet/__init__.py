"""RetinaNet checkpoints: detectron2's and keras-retinanet's."""
