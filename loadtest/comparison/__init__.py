"""Parts of `compare.py`: weir beside nginx and HAProxy on one machine, in one interleaved run."""
