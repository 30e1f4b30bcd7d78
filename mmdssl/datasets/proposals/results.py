"""Results of earlier calls, as far as they are those of the pictures that lie there now."""

from pathlib import Path

from mmdssl.datasets.image_sources import image_source
from mmdssl.datasets.proposals.fingerprint import UNKNOWN, fingerprint
from mmdssl.datasets.proposals.parts import BadEntry, parts_folder, read_parts
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.store import Entry, ProposalStore

__all__ = ['gather_results']


def gather_results(
    out: Path, settings: ProposalSettings, images: str | Path
) -> tuple[dict[bytes, Entry | BadEntry], dict[str, str], set[bytes]]:
    """What was found before, in the file and in parts.

    Args:
        out: The proposals file.
        settings: What its proposals must have been made with.
        images: The folder.

    Returns:
        Results by image name, the versions that made them, and the names of images that are other
        pictures now than when they were searched: these have no result.
    """
    parameters = settings.expected()
    results, versions = read_parts(parts_folder(out), parameters)
    changed = {name for name, entry in results.items() if _is_other(entry, images)}
    results = {name: entry for name, entry in results.items() if name not in changed}
    if out.exists():
        store = ProposalStore.open(out, expect=parameters)
        for entry in map(store.entry, range(len(store))):
            if isinstance(results.get(entry.name), Entry):  # searched anew since
                continue
            if _is_other(entry, images):
                changed.add(entry.name)
            else:
                results[entry.name] = entry
        versions = {**store.facts['versions'], **versions}
    return results, versions, changed


def _is_other(entry: Entry | BadEntry, images: str | Path) -> bool:
    """Whether the file of that name is another picture than the one that was searched."""
    if isinstance(entry, BadEntry) or entry.print == UNKNOWN:
        return False
    return fingerprint(image_source(images, entry.name)) not in (UNKNOWN, entry.print)
