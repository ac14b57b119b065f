"""Kubernetes manifests, and the script that makes those parts of them that follow from `configs/`."""
