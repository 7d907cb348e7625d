"""What a release says that no stage measures, and the element type of its weights."""

from typing import Literal

from pydantic import Field

from altiplano.recipe.units import Section

SourceKind = Literal["public", "licensed", "third-party", "crawled", "user", "synthetic", "other"]


class SourceStatement(Section):
    """Whose the text of a source of the corpus is, and on what terms. What is left out is "not stated"."""

    name: str = Field(description="of the source in `[[corpus.sources]]`")
    kind: SourceKind | None = Field(
        None,
        description="public dataset, commercially licensed, from a third party, crawled for this model, of users, "
        "synthetic, or other: the headings of the EU's summary of training content",
    )
    title: str = Field("", description="what people call it")
    url: str = Field("", description="where it is described or was obtained")
    license: str = Field("", description="of the text: an SPDX identifier or expression")
    obtained: str = Field("", description="when, such as 2024-03 to 2024-06")
    description: str = Field("", description="what kind of content it is, and from where")
    generated_by: str = Field("", description="of a synthetic source: the models that wrote it")


class ReleaseConfig(Section):
    """What is released, by whom, and whom to tell. Nothing here is invented: what is left out is "not stated"."""

    dtype: Literal["bfloat16", "float32", "as-trained"] = Field(
        "bfloat16", description="of the released weights; the effect of rounding them is measured and written down"
    )
    provider: str = Field("", description="name of the person or organisation that publishes the model")
    contact: str = Field("", description="address of the provider")
    representative: str = Field("", description="authorised representative in the Union, and its address")
    security_contact: str = Field("", description="where to report vulnerabilities")
    incident_contact: str = Field("", description="where to report serious incidents")
    market_date: str = Field("", description="when the model was placed on the Union market")
    summary_version: str = Field("", description="of the EU's summary of training content")
    summary_date: str = Field("", description="when that summary was last changed")
    content: str = Field("", description="types of content in the training text, beside its measured domains")
    characteristics: str = Field("", description="other characteristics of the training text, beside its languages")
    trained_further: bool | None = Field(None, description="the model is trained on new data after the latest of these")
    small_provider: bool = Field(
        False, description="the provider is a small or medium enterprise: fewer crawled domains need naming"
    )
    code_of_practice: bool | None = Field(
        None, description="the provider has signed the Code of Practice for general-purpose models"
    )
    rights_reservation: str = Field("", description="how reservations of rights from data mining are respected")
    crawlers: str = Field("", description="names of the crawlers of the provider, or on its behalf")
    crawler_purposes: str = Field("", description="what else they crawl for")
    crawler_behaviour: str = Field("", description="such as whether they respect robots.txt and payment walls")
    user_services: str = Field("", description="services whose users' data the sources of the kind user are")
    illegal_content: str = Field("", description="how illegal content was removed, beside what the audit counts")
    other_processing: str = Field("", description="of the training text, beside what the audit counts")
    cybersecurity: str = Field("", description="how weights and infrastructure are protected")
    sources: tuple[SourceStatement, ...] = ()
