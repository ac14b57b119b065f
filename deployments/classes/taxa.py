"""What the labels of a model are as taxa: a table in its own block, as there is no internet to look one up."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from deployments.classes.labels import MAX_LABELS
from deployments.text.nearest_name import nearest_in_any_case

HigherRank = Literal["kingdom", "phylum", "class", "order", "family", "genus"]
TaxonName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Taxon(BaseModel):
    """One taxon of the World Register of Marine Species (WoRMS)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scientific_name: TaxonName
    """Without its author: Asterias rubens."""

    aphia_id: int | None = Field(default=None, ge=1)
    """Its number in WoRMS."""

    rank: TaxonName | None = None
    """species, genus, ..."""

    higher: dict[HigherRank, TaxonName] = Field(default_factory=dict)
    """The taxa above it, by their ranks, so that a table of answers can be rolled up to any of them."""

    @property
    def identifier(self) -> str:
        """WoRMS' identifier of it for other programs, a LSID; "" without a number."""
        return f"urn:lsid:marinespecies.org:taxname:{self.aphia_id}" if self.aphia_id else ""


def check_taxa(taxa: Mapping[str, Taxon], labels: Collection[str] | None) -> None:
    """Raises ValueError for a label that the model does not have, where its labels are known, and for too many."""
    if len(taxa) > MAX_LABELS:
        raise ValueError(f"taxa: {len(taxa)} labels, the limit is {MAX_LABELS}")
    known = taxa if labels is None else frozenset(labels)
    for label in taxa:
        if label not in known:
            near = "".join(f"; did you mean {one!r}?" for one in nearest_in_any_case(label, known, 1))
            raise ValueError(f"taxa: the model has no label {label[:64]!r}{near}")
