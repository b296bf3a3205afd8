"""Codes of languages: BCP 47 tags, in whichever way people write them, brought to one form."""

import re

OTHER = ("code", "dna", "formal")  # text that is in no language
# ISO 639-1, each with its code of ISO 639-2 or 639-3
_CODES = (
    "aa aar ab abk ae ave af afr ak aka am amh an arg ar ara as asm av ava ay aym az aze ba bak be bel bg bul bh bih bi bis bm bam "
    "bn ben bo bod br bre bs bos ca cat ce che ch cha co cos cr cre cs ces cu chu cv chv cy cym da dan de deu dv div dz dzo ee ewe "
    "el ell en eng eo epo es spa et est eu eus fa fas ff ful fi fin fj fij fo fao fr fra fy fry ga gle gd gla gl glg gn grn gu guj "
    "gv glv ha hau he heb hi hin ho hmo hr hrv ht hat hu hun hy hye hz her ia ina id ind ie ile ig ibo ii iii ik ipk io ido is isl "
    "it ita iu iku ja jpn jv jav ka kat kg kon ki kik kj kua kk kaz kl kal km khm kn kan ko kor kr kau ks kas ku kur kv kom kw cor "
    "ky kir la lat lb ltz lg lug li lim ln lin lo lao lt lit lu lub lv lav mg mlg mh mah mi mri mk mkd ml mal mn mon mr mar ms msa "
    "mt mlt my mya na nau nb nob nd nde ne nep ng ndo nl nld nn nno no nor nr nbl nv nav ny nya oc oci oj oji om orm or ori os oss "
    "pa pan pi pli pl pol ps pus pt por qu que rm roh rn run ro ron ru rus rw kin sa san sc srd sd snd se sme sg sag si sin sk slk "
    "sl slv sm smo sn sna so som sq sqi sr srp ss ssw st sot su sun sv swe sw swa ta tam te tel tg tgk th tha ti tir tk tuk tl tgl "
    "tn tsn to ton tr tur ts tso tt tat tw twi ty tah ug uig uk ukr ur urd uz uzb ve ven vi vie vo vol wa wln wo wol xh xho yi yid "
    "yo yor za zha zh zho zu zul "
    # bibliographic codes, and the members of macrolanguages that data sets name
    "sq alb hy arm eu baq my bur zh chi cs cze nl dut fr fre ka geo de ger el gre is ice mk mac mi mao ms may fa per ro rum sk slo "
    "bo tib cy wel zh cmn ar arb fa pes lv lvs et ekk ms zsm mn khk ne npi or ory sw swh uz uzn az azj mg plt sq als ps pbt yi ydd "
    "ku kmr om gaz ay ayr gn gug tl fil"
)
_SHORT = dict(zip(_CODES.split()[1::2], _CODES.split()[::2], strict=True))
_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva", "arabic": "Arab"}  # as locales name them: sr@latin
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?"
    r"(?P<variants>(?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*)(?P<private>-x(?:-[a-z\d]{1,8})+)?",
    re.IGNORECASE,
)
PATTERN = r"^[A-Za-z]{2,3}([-_@][A-Za-z0-9]{1,8})*$|^(code|dna|formal)$"  # what a schema can say of it


def language_code(value: str) -> str:
    """The one form of a language's code: `en_US` is `en-US`, `deu` is `de`, `eng_Latn` is `en-Latn`, `sr@latin` is `sr-Latn`.

    Raises:
        ValueError: it is no BCP 47 tag; says what to write.
    """
    if value in OTHER:
        return value
    text = value.strip().partition(".")[0]  # de_DE.UTF-8
    for name, script in _SCRIPTS.items():
        text = re.sub(rf"@{name}$", f"-{script}", text)
    # a locale's script comes last
    text = re.sub(r"^([A-Za-z]{2,3})[-_]([A-Za-z]{2})-([A-Z][a-z]{3})$", r"\1-\3-\2", text.replace("_", "-"))
    found = _TAG.fullmatch(text)
    if not found:
        raise ValueError(
            f"{value!r} is no language code: write one of ISO 639, with a script or a region where it matters (de, pt-BR, "
            f"zh-Hans, sr-Latn), or {', '.join(OTHER)}"
        )
    language = found["language"].lower()
    parts = [_SHORT.get(language, language), (found["script"] or "").title(), (found["region"] or "").upper()]
    return "-".join(filter(None, parts)) + (found["variants"] + (found["private"] or "")).lower()


def primary(code: str) -> str:
    """The language alone: `pt` of `pt-BR`."""
    return code.partition("-")[0]


def same_language(code: str, other: str) -> bool:
    """Whether two codes can name the same text: one says no more than the other where they differ (`pt` and `pt-BR`)."""
    ours, theirs = code.split("-"), other.split("-")
    return ours[0] == theirs[0] and (set(ours) <= set(theirs) or set(theirs) <= set(ours))


def nearest(code: str, offered: list[str]) -> str | None:
    """Of the codes that a file offers the one that `code` asks for: itself, else the first of those that can be meant; or None."""
    candidates = sorted(offer for offer in offered if same_language(code, offer))
    return code if code in candidates else (candidates[0] if candidates else None)
