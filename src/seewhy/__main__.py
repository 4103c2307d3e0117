"""python -m seewhy"""

from .cli import main

main()
