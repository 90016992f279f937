"""A real Tryton with a small factory that was filled in once, step by step, and then copied."""

import shutil
from pathlib import Path

from county.servers import tryton

POPULATE = Path(__file__).with_name("populate.py")
ADMIN, PASSWORD, STRANGER = "admin", "admin-pass-1", "stranger-pass-1"
ORDERS = 4
_DATABASE = "erp"


def filled() -> Path:
    """Give a filled database; made once for each version of Tryton and of what fills it."""
    kept = tryton.home() / f"filled-{tryton.digest(tryton.PREPARE, POPULATE)}.sqlite"
    if not kept.exists():
        with tryton.drafted(kept) as draft:
            shutil.copyfile(tryton.template(), draft)
            conf = tryton.configure(draft.parent, 1)
            tryton.run("python", POPULATE, conf, draft.stem, ORDERS, PASSWORD, STRANGER)
    return kept


class Tryton(tryton.Tryton):
    """One server with a factory of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        shutil.copyfile(filled(), folder / f"{_DATABASE}.sqlite")

    @property
    def root(self) -> str:
        return self.address(_DATABASE)
