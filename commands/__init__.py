"""One file per command of starter.py, signature and body; heavy imports are in bodies, so --help is quick."""
