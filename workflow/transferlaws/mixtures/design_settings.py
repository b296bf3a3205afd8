"""`mixtures: {design: ...}` of a config: named mixtures made by a design."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transferlaws.errors import UserError
from transferlaws.mixtures.designs import space_filling
from transferlaws.mixtures.simplex import limits

KEY = "design"


class MixtureDesign(BaseModel):
    """Mixtures that fill the simplex of some corpora, named `design_01` and so on; a larger `count` adds to a smaller one's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpora: list[str] = Field(min_length=2, description="corpora to mix")
    count: int = Field(ge=1, le=999, description="mixtures in all")
    singles: bool = Field(True, description="begin with each corpus alone")
    equal: bool = Field(True, description="then equal shares")
    natural: dict[str, float] | None = Field(None, description="then shares in proportion to these sizes, a number for each corpus")
    minimum_share: dict[str, float] = Field({}, description="corpus -> smallest share")
    maximum_share: dict[str, float] = Field({}, description="corpus -> largest share")
    seed: int = Field(0, ge=0, description="seed of the mixtures that fill the rest")


def with_design(mixtures: object) -> object:
    """The mixtures of a config with `design` replaced by what it makes. Raises `ValueError` saying what is wrong with it."""
    if not isinstance(mixtures, dict) or not isinstance(mixtures.get(KEY), dict) or "count" not in mixtures[KEY]:
        return mixtures
    try:
        design = MixtureDesign.model_validate(mixtures[KEY])
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, (KEY, *each['loc'])))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"{mistakes}. The keys of {KEY} are {', '.join(MixtureDesign.model_fields)}") from None
    if len(set(design.corpora)) != len(design.corpora):
        raise ValueError(f"{KEY}.corpora names a corpus twice: {', '.join(design.corpora)}")
    natural = design.natural
    if natural is not None and (set(natural) != set(design.corpora) or min(natural.values()) < 0 or sum(natural.values()) <= 0):
        raise ValueError(f"{KEY}.natural must give a size of at least 0 for each of {', '.join(design.corpora)}")
    try:
        allowed = limits(design.corpora, least=design.minimum_share, most=design.maximum_share)
        weights = space_filling(
            design.count,
            allowed,
            seed=design.seed,
            singles=design.singles,
            equal=design.equal,
            natural=None if natural is None else [natural[name] for name in design.corpora],
        )
    except UserError as error:
        raise ValueError(f"{KEY}: {error}") from None
    made = {
        f"{KEY}_{number:02}": {name: round(float(share), 3) for name, share in zip(design.corpora, row, strict=True) if share > 0}
        for number, row in enumerate(weights, 1)
    }
    named = {name: value for name, value in mixtures.items() if name != KEY}
    if both := set(made) & set(named):
        raise ValueError(f"{', '.join(sorted(both))}: named here and made by {KEY}. Rename them")
    return {**named, **made}


def in_schema(schema: dict) -> None:
    """Let the JSON schema of the mixtures hold a design."""
    weights = schema.pop("patternProperties", None) or {}
    schema["patternProperties"] = {f"^(?!{KEY}$){pattern.removeprefix('^')}": value for pattern, value in weights.items()}
    schema["properties"] = {KEY: MixtureDesign.model_json_schema()}
