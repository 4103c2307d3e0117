"""The live page's server: photos come in, explanations go out as they are made, over one WebSocket per page.

Everything here needs the ``app`` extra; ``seewhy.cli.app`` is the command.
"""
