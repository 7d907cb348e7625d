"""Main text at several times trafilatura's speed: resiliparse where a page marks its main part, trafilatura elsewhere.

Pages name the element with their text in few ways (schema.org's ``articleBody``, ``<article>``, the classes of content
management systems). Rust parses the page, finds that element and writes its text without what its class or tag says is
not text. Only pages without such an element, or with little text in it, go through trafilatura.
"""

from altiplano.corpus.extras import extra

MIN_CHARACTERS = 400
"""With less, trafilatura's rescues (other places, JSON, a second try for recall) do find more."""

MAX_TAGS = 50_000
"""Resiliparse's time grows with the square of a page's depth: 10,000 levels take 0.6 s, ten times as many a minute."""

REGIONS = (
    (
        '[itemprop="articleBody"]', "#articleContent", '[class="post"]', '[class="entry"]',
        *(f'[{where}*="{name}"]' for where in ("class", "id") for name in (
            "entry-content", "article-content", "articlebody", "article-body", "article__body", "articleBody",
            "article__content", "body-text",
        )),
        *(f'[class*="{name}"]' for name in (
            "post-content", "post_content", "postcontent", "postContent", "post-body", "post-text", "post_text",
            "post-entry", "article-text", "articleText", "page-content", "text-content", "ArticleContent",
        )),
    ),
    ("article",),
    (
        '[role="article"]', "#article", "#story", ".story", ".text", '[class*="story-content"]',
        '[class*="story-body"]',
        '[class*="blog-content"]', '[class*="single-content"]', '[class*="single-post"]', '[class*="field-body"]',
        '[class*="main-column"]', '[class*="fulltext"]',
    ),
    (
        "#content", '[class="content"]', '[id*="main-content"]', '[class*="main-content"]', '[id*="content-main"]',
        '[class*="content-main"]', '[class*="content-body"]', '[class*="content__body"]',
    ),
    ("main", '[role="main"]', "#main"),
)  # fmt: skip
"""CSS selectors of the element that holds the text, surest first."""

TAGS = (
    "aside", "audio", "button", "canvas", "dialog", "fieldset", "figcaption", "figure", "footer", "form", "header",
    "iframe", "input", "label", "menu", "nav", "noscript", "object", "option", "picture", "script", "select", "style",
    "svg", "textarea", "video",
)  # fmt: skip
NAMES = (
    "share", "Share", "social", "newsletter", "related", "Related", "author", "byline", "tags", "breadcrumb", "sidebar",
    "banner", "cookie", "consent", "navigation", "navbar", "subnav", "menu", "outbrain", "taboola", "footer", "meta",
    "rating", "timestamp", "attachment", "overlay", "slide", "expand", "teaser", "comments", "caption", "promo",
    "print", "hidden", "message", "-icon", "-ad-", "next-", "button",
)  # fmt: skip
"""Parts of class names. Chosen on half of the pages of benchmarks/curation.py and a hand-labelled set, so measure
elsewhere before adding."""

SKIPPED = [
    *TAGS,
    *(f'{tag}[class*="{name}"]' for name in NAMES for tag in ("div", "ul", "p", "section", "span")),
    *(f'[id*="{name}"]' for name in ("share", "related", "comments", "nav", "footer")),
    '[style*="display:none"]', '[style*="display: none"]', '[aria-hidden="true"]',
]  # fmt: skip


def main_part(html: str) -> str:
    """The text of the page's main part; empty where the page does not mark one, or not enough of it."""
    if html.count("<") > MAX_TAGS:
        return ""
    body = extra("resiliparse.parse.html").HTMLTree.parse(html).body
    if body is None:
        return ""
    region = next(filter(None, (body.query_selector(",".join(group)) for group in REGIONS)), None)
    if region is None:
        return ""
    write = extra("resiliparse.extract.html2text").extract_plain_text
    text = write(region.html, alt_texts=False, links=False, comments=False, skip_elements=SKIPPED).strip()
    return text if len(text) >= MIN_CHARACTERS else ""
