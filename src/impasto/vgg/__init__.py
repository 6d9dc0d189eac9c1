"""The VGG network: layers, features and weights."""
