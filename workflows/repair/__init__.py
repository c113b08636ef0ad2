"""From a diagnosis to a fix that is measured in production."""
