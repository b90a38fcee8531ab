"""Starts program argv[1] by vfork: where its file never answers, this process waits in state D."""
import subprocess
import sys

subprocess.Popen([sys.argv[1]])
