"""seewhy cache"""

from __future__ import annotations

import json

import click

from ..legible import legible
from ..synthesis.cache import Cache
from .streams import output


@click.command("cache", short_help="Show where class pictures are kept, and how many; or remove them.")
@click.option("--clear", is_flag=True, help="Remove all pictures; other files there are left alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(clear: bool, as_json: bool) -> None:
    """Show where pictures of classes are kept, how many, and their bytes; or remove them.

    They can be made again any time. SEEWHY_CACHE_DIR says where else to keep them.
    """
    cache = Cache()
    removed = cache.clear() if clear else 0
    entries = cache.entries()
    about = {"folder": str(cache.folder), "pictures": len(entries), "bytes": sum(entry.size for entry in entries)}
    if as_json:
        click.echo(json.dumps(about | ({"removed": removed} if clear else {})), file=output())
        return
    if clear:
        click.echo(f"removed {removed} pictures", file=output())
    click.echo(legible(f"{about['folder']}  {about['pictures']} pictures  {about['bytes']:,} bytes"), file=output())
