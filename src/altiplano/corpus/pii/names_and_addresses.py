"""Street addresses, and names of users in paths and profile URLs.

An address is a street, a house number and a postal code together: one of them alone may be anything.
"""

import re
from collections.abc import Iterator

from altiplano.corpus.pii.windows import capital_before_digit, digit_windows, having, lowered, mark_windows, union

NAME = r"[A-ZÀ-ÖØ-ÞŁŚŻ][\w'’.-]{1,24}"
CITY = r"[A-ZÀ-ÖØ-ÞŁŚŻ][\w'’-]{1,24}"
NAMES = rf"(?:{NAME} ){{0,3}}{NAME}"
GAP = r"(?:, ?|\n| )"

ENGLISH_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Close|"
    "Crescent|Parkway|Pkwy|Circle"
)
GERMAN_STREET = (
    "straße|strasse|str\\.|weg|platz|allee|gasse|ring|damm|ufer|markt|hof|steig|"
    "[ -](?:Markt|Straße|Str\\.|Weg|Platz|Allee)"
)
FRENCH_STREET = "rue|avenue|av\\.|boulevard|bd|place|chemin|allée|impasse|quai|cours|route|square"
ROMANCE_STREET = "Calle|C/|Avenida|Avda\\.|Av\\.|Plaza|Paseo|Via|Viale|Piazza|Corso|Largo|Rua|Travessa|Praça|Alameda"
NORTHERN_STREET = "straat|laan|weg|plein|gracht|kade|gatan|vägen|gata|veien|katu|tie|vej|gade"

FORMS = (
    # 12 High Street, Apt 4, Springfield, IL 62704 · 5 Mill Lane, Oxford OX1 2AB
    rf"(?<![\w.,/-])\d{{1,5}}[A-Za-z]? {NAMES} (?:{ENGLISH_STREET})\b\.?"
    rf"(?:{GAP}(?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.? ?\w{{1,6}})?(?:{GAP}{NAMES}){{0,2}}{GAP}(?:[A-Z]{{2}}{GAP})?"
    r"(?:\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d)(?!\w)",
    # Lindenstraße 12a, 50674 Köln
    rf"(?<!\w)(?:{NAME}[ -]){{0,3}}[A-ZÄÖÜ][\w-]{{1,30}}(?:{GERMAN_STREET}) \d{{1,4}}(?: ?[a-z])?"
    rf"(?:{GAP}|, (?:D|A|CH)-)(?:(?:D|A|CH)-)?\d{{4,5}} {CITY}",
    # 14 bis, rue des Lilas, 69003 Lyon
    rf"(?<![\w.,/-])\d{{1,4}}(?: ?(?:bis|ter))?,? (?:{FRENCH_STREET}) [\w'’. -]{{3,45}}{GAP}\d{{5}} {CITY}",
    # Calle Mayor, 5, 2º B, 28013 Madrid · Via Roma 12, 00184 Roma · Rua Augusta, 1508, 01304-001
    rf"(?<!\w)(?:{ROMANCE_STREET})(?: (?:de|del|della|delle|dei|di|da|do|dos|das|la|las|los|el)){{0,4}} ?{NAMES}"
    rf"(?: (?:de|del|da|do|dos|di|la|e) {NAMES})?,? (?:n\.?º ?)?\d{{1,5}}\w?(?:[ ,-]{{1,3}}[\w.ºª-]{{1,14}}){{0,4}}?"
    rf"{GAP}(?:\d{{5}}-\d{{3}}|\d{{4}}-\d{{3}}|\d{{5}})(?: {CITY})?(?!\w)",
    # Kerkstraat 21, 1017 GA Amsterdam · Storgatan 5, 111 22 Stockholm
    rf"(?<!\w){NAME}(?:{NORTHERN_STREET}) \d{{1,4}}(?: ?[a-zA-Z])?"
    rf"{GAP}(?:\d{{4}} ?[A-Z]{{2}}|\d{{3}} ?\d\d|\d{{4,5}}) {CITY}",
    # ul. Długa 7/3, 00-238 Warszawa
    rf"(?<!\w)(?:ul|al|pl|os)\. {NAMES} \d{{1,4}}\w?(?:/\d{{1,4}})?{GAP}\d\d-\d{{3}} {CITY}",
    # 101000, Москва, ул. Мясницкая, д. 12, кв. 5
    r"(?:\d{6}, ?)?(?:г\. ?)?[А-ЯЁ][а-яё-]{2,20}, (?:ул|пр|пер|наб|бул|просп)\.? [А-ЯЁ][а-яё -]{2,30}, (?:д|дом)\.? ?"
    r"\d{1,4}\w?(?:, ?(?:корп|к|стр)\.? ?\d{1,3})?(?:, ?(?:кв|оф)\.? ?\d{1,4})?",
    # 〒150-0002 東京都渋谷区渋谷2-21-1
    r"〒\d{3}-\d{4}[\s　]?[\u3040-\u9fff]{4,30}[\d０-９一二三四五六七八九十]{1,4}"
    r"(?:[-－−丁目番地号の]{1,3}\d{0,4}){0,4}",
    # 北京市海淀区中关村大街27号
    r"[\u4e00-\u9fff]{2,4}市[\u4e00-\u9fff]{2,5}区[\u4e00-\u9fff]{2,12}(?:路|街|道|巷|弄)\d{1,5}号"
    r"(?:[\u4e00-\u9fff\d]{1,4}(?:室|楼|单元|栋)){0,3}",
)
ADDRESS = re.compile("|".join(FORMS))
STREETS = (
    " street", " st.", " st,", " st ", " st\n", " avenue", " ave,", " ave ", " ave.", " road", " rd", " boulevard",
    " blvd", " lane", " ln,",
    " ln ", " drive", " dr.", " dr,", " dr ", " court", " ct,", " ct ", " way,", " way ", " way\n", " place", " pl,",
    " pl ", " square", " sq ", " sq,",
    " terrace", " close", " crescent", " parkway", " pkwy", " circle",
    "straße ", "strasse ", "str. ", "weg ", "platz ", "allee ", "gasse ", "ring ", "damm ", "ufer ", "markt ",
    "hof ", "steig ",
    "rue ", "avenue ", "av. ", "boulevard ", "bd ", "place ", "chemin ", "allée ", "impasse ", "quai ", "cours ",
    "route ", "square ",
    "calle ", "c/ ", "avenida ", "avda.", "plaza ", "paseo ", "viale ", "piazza ", "corso ", "largo ", "travessa ",
    "praça ", "alameda ", "straat ", "laan ", "plein ", "gracht ", "kade ", "gatan ", "vägen ", "gata ", "veien ",
    "katu ", "tie ",
    "vej ", "gade ", "ul. ", "al. ", "pl. ", "os. ", ", ул", ", пр", ", пер", ", наб", ", бул", "via ", "rua ",
)  # fmt: skip
"""In small letters; every address but the Chinese and Japanese holds one."""

CODE = re.compile(r"[A-Z][0-9](?:[A-Z0-9] ?[0-9][A-Z]| ?[0-9][A-Z]{2})")
SIGNS = ("〒", "号", "ул.", "пр.", "пер.", "наб.")
"""British and Canadian codes, and what marks an address of a script where digits may be few."""

DIGITS, WITHIN = 5, 40
"""Elsewhere house number and postal code have so many digits within so many characters."""

BEFORE, AFTER = 100, 40
"""Characters of an address around those."""


def addresses(text: str) -> Iterator[tuple[int, int]]:
    """Where street addresses stand in the text."""
    windows = digit_windows(text, DIGITS, WITHIN, BEFORE, AFTER)
    signs = [at for at in capital_before_digit(text) if CODE.match(text, at)]
    if not text.isascii():
        signs += [match.start() for sign in SIGNS if sign in text for match in re.finditer(re.escape(sign), text)]
    windows = union(windows, [(max(0, at - BEFORE), min(len(text), at + BEFORE)) for at in signs])
    eastern = not text.isascii() and ("〒" in text or "号" in text)
    windows = windows if eastern else having(lowered(text), windows, STREETS)
    for low, high in windows:
        yield from (match.span() for match in ADDRESS.finditer(text, low, high))


PATH = re.compile(
    r"(?:(?<![\w.})~/-])(?://)?(?:/(?:mnt|export|usr|var|data|nfs|Volumes/[\w-]{1,20}))?/home/|(?<![\w.})~-])/Users/|"
    r"(?<=file://)/(?:home|Users)/"
    r"|\b[A-Za-z]:[\\/]{1,2}(?:Users|Documents and Settings)[\\/]{1,2}|/(?:mnt/)?[a-z]/Users/|\\{2,4}Users\\{1,2})"
    r"(?P<name>[^\W\d][\w.-]{1,31})(?=[/\\\s\"'`:;,)>\]<]|$)"
)
PROFILE = re.compile(
    r"(?<![\w.])(?:www\.)?(?:linkedin\.com/in/|(?:twitter|instagram|facebook|vk|tiktok)\.com/@?|t\.me/|medium\.com/@|"
    r"[a-z0-9.-]{1,80}\.[a-z]{2,10}/(?:@|~|users/|profile/|u/))(?P<name>[\w][\w.%-]{2,40})(?=[/?#\s\"'`)>\],.;]|$)",
    re.IGNORECASE,
)
FILE = re.compile(r"\.(?:[sx]?html?|php|aspx?|jsp|js|css|png|jpe?g|gif|svg|pdf|xml|json|txt|md|rss)$")
ROLES = {
    "user", "username", "users", "user1", "user2", "you", "yourname", "your-name", "your_name", "yourusername", "me",
    "myuser", "my-user", "name", "someone", "somebody", "somename", "someuser", "root", "admin", "administrator",
    "guest", "public", "shared", "default", "all", "ubuntu", "debian", "centos", "fedora", "vagrant", "runner",
    "runneradmin", "travis", "circleci", "jenkins", "build", "builder", "buildbot", "ci", "git", "www", "www-data",
    "app", "node", "python", "docker", "ec2-user", "jovyan", "pi", "dev", "developer", "test", "tester", "testuser",
    "example", "foo", "bar", "baz", "linuxbrew", "share", "sharer", "intent", "home", "search", "hashtag", "explore",
    "login", "signup", "privacy", "about", "help", "settings", "pages", "groups", "events", "watch", "people",
    "profile", "tr", "joinchat", "new", "edit", "list", "register", "password", "alice", "bob", "john", "jane",
    "johndoe", "janedoe", "hadoop", "spark", "postgres", "mysql", "nginx", "redis", "oracle", "steam", "work",
    "workspace", "project", "projects", "site", "web", "plugins", "dialog", "status", "company", "messages",
    "notifications", "account", "accounts", "sharearticle", "hostname", "target", "notes", "i", "p", "statuses",
    "ext2", "ext3", "ext4", "xfs", "btrfs", "ntfs", "data", "media", "mnt", "opt", "var", "usr", "etc", "files",
    "backup",
    "backups", "index", "main", "page", "dashboard", "products", "product", "news", "contact", "contacts", "components",
    "assets", "static", "images", "views", "api", "menu", "services", "service", "overview", "welcome", "team", "blog",
    "shop", "store", "cart", "faq", "terms", "latest", "popular", "trending", "content", "details", "feed", "ftp",
    "http",
    "minecraft", "odoo", "frappe", "zulip", "deploy", "deployer", "coder", "codespace", "vscode", "gitpod", "sandbox",
    "container", "appuser", "nonroot", "server", "client", "svc", "operator", "ansible", "airflow", "kafka",
    "zookeeper", "elastic", "elasticsearch", "logstash", "kibana", "grafana", "prometheus", "tomcat", "wildfly",
    "jboss",
    "rails", "ruby", "perl", "php", "java", "go", "rust", "gradle", "maven", "www-root", "webapp", "laravel", "django",
    "youruser", "your_user", "yourself", "username1", "usr1", "student", "staff", "kali", "arch",
    "manjaro",
    "opc", "azureuser", "rocky", "almalinux", "sles", "core", "cloud-user", "cloudera", "nobody", "daemon", "mail",
    "nixos",
    "demo", "sample", "temp", "tmp", "local", "lib", "bin", "src", "conda", "anaconda",
}  # fmt: skip
"""Roles and placeholders that documentation writes in place of a user's name."""


PATH_MARKS = ("/home/", "/users/", "\\users\\", "documents and settings")
PROFILE_MARKS = (".com/", "t.me/", "/users/", "/profile/", "/u/", "/in/")
BEFORE, AFTER = 80, 80
"""Characters of an address or path around its mark."""


def user_names(text: str) -> Iterator[tuple[int, int]]:
    """Where the names stand, without the path or address around them."""
    for pattern, marks in ((PATH, PATH_MARKS), (PROFILE, PROFILE_MARKS), (PROFILE, ("/@",)), (PROFILE, ("/~",))):
        for low, high in mark_windows(lowered(text), marks, BEFORE, AFTER):
            for match in pattern.finditer(text, low, high):
                name = match.group("name").rstrip(".")
                if name.lower() not in ROLES and not FILE.search(name):
                    yield match.start("name"), match.start("name") + len(name)
