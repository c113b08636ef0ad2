"""One file per command of starter.py; heavy imports happen inside the commands, so that --help is quick."""
