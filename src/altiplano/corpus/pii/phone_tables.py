# ruff: noqa: E501
"""Where languages are spoken, and what they call a telephone. Numbering plans are libphonenumber's."""

AFRICA_FR = "SN CI CM MA DZ TN CD MG ML BF BJ NE TG GA CG GN RW HT MU RE GP MQ"
REGIONS = {
    language: tuple(regions.split())
    for language, regions in {
        "af": "ZA NA", "am": "ET", "ar": "EG SA AE MA DZ TN IQ JO KW LB LY OM QA SD SY YE BH PS MR",
        "as": "IN", "ay": "BO PE", "az": "AZ", "ba": "RU", "be": "BY", "bg": "BG", "bn": "BD IN", "bo": "CN",
        "br": "FR", "bs": "BA", "ca": "ES AD", "ce": "RU", "ceb": "PH", "cs": "CZ", "cv": "RU", "cy": "GB",
        "da": "DK GL FO", "de": "DE AT CH LI LU BE IT", "dv": "MV", "dz": "BT", "ee": "GH TG", "el": "GR CY",
        "en": "US GB CA AU NZ IE IN ZA NG KE GH PH SG MY HK PK JM TT UG TZ ZW ZM MT BW NA CM RW",
        "eo": "PL FR DE NL BR CZ", "es": "ES MX AR CO CL PE VE EC GT CU BO DO HN PY SV NI CR PA UY PR GQ US",
        "et": "EE", "eu": "ES FR", "fa": "IR AF", "fi": "FI", "fil": "PH", "fo": "FO",
        "fr": "FR BE CH CA LU MC " + AFRICA_FR, "fy": "NL", "ga": "IE GB", "gd": "GB", "gl": "ES", "gn": "PY",
        "gu": "IN", "ha": "NG NE", "he": "IL", "hi": "IN", "hr": "HR BA", "ht": "HT", "hu": "HU RO SK RS",
        "hy": "AM", "id": "ID", "ig": "NG", "is": "IS", "it": "IT CH SM VA", "ja": "JP", "jv": "ID", "ka": "GE",
        "kk": "KZ", "km": "KH", "kn": "IN", "ko": "KR", "ku": "IQ TR IR SY", "ky": "KG", "la": "VA IT", "lb": "LU",
        "lg": "UG", "ln": "CD CG", "lo": "LA", "lt": "LT", "lv": "LV", "mg": "MG", "mi": "NZ", "mk": "MK",
        "ml": "IN", "mn": "MN", "mr": "IN", "ms": "MY SG BN", "mt": "MT", "my": "MM", "nb": "NO", "ne": "NP IN",
        "nl": "NL BE SR", "nn": "NO", "no": "NO", "ny": "MW ZM", "oc": "FR", "om": "ET", "or": "IN", "pa": "IN PK",
        "pl": "PL", "ps": "AF PK", "pt": "BR PT AO MZ CV", "qu": "PE BO EC", "rm": "CH", "ro": "RO MD",
        "ru": "RU BY KZ UA KG UZ", "rw": "RW", "sa": "IN", "sc": "IT", "sd": "PK IN", "si": "LK", "sk": "SK",
        "sl": "SI", "sm": "WS", "sn": "ZW", "so": "SO DJ KE ET", "sq": "AL XK MK", "sr": "RS BA ME XK", "ss": "SZ ZA",
        "st": "LS ZA", "su": "ID", "sv": "SE FI", "sw": "TZ KE UG CD", "ta": "IN LK SG MY", "te": "IN", "tg": "TJ",
        "th": "TH", "ti": "ER ET", "tk": "TM", "tl": "PH", "tn": "BW ZA", "tr": "TR CY", "ts": "ZA", "tt": "RU",
        "ug": "CN", "uk": "UA", "ur": "PK IN", "uz": "UZ", "ve": "ZA", "vi": "VN", "wo": "SN GM", "xh": "ZA",
        "yi": "IL US", "yo": "NG BJ", "zh": "CN TW HK SG MO MY", "zu": "ZA", "code": "US GB",
    }.items()
}  # fmt: skip
"""By ISO 639; the most likely first. Those after the second only count behind a word for calling."""

STEMS = (
    "telef", "teleph", "telép", "teléf", "téléph", "telfon", "telpon", "telepon", "teilea", "teléfo", "tālru", "taluru",
    "puhel", "puhno", "matkapuh", "gsm", "kännykk", "mobil", "mobiil", "móvil", "movil", "mòbil", "mobitel", "mobtel",
    "mobiel", "celular", "cellul", "cellphone", "cel.", "komórk", "komork", "kontakt", "handy", "rufnum", "ruft", "rufen",
    "anruf", "ruf", "phone", "smartphone", "whatsapp", "viber", "wechat", "telegram", "signal", "hotline", "helpline",
    "landline", "fono", "fonnum", "fón", "fòn", "ffôn", "ffon", "símni", "síma", "símar", "símas", "sími", "simi", "simanúm", "pozvon", "nazov",
    "zadzwo", "dzwo", "infolin", "zavol", "volat", "volaj", "volejte", "ligue", "ligar", "llam", "llám", "marque",
    "appele", "appeler", "joign", "portable", "chiam", "bel", "bellen", "beller", "ring", "ringe", "soita", "helist",
    "zvan", "zvani", "skambin", "hív", "hívja", "ara", "arayın", "arayin", "cep", "sunați", "suna", "nazovi", "nazvat",
    "pokli", "telefax", "faks", "fax", "faxe", "dial", "call", "contact", "simu", "namba", "piga", "lambar", "wayar",
    "fowunsi", "ekwentị", "ekwenti", "nọmba", "ucingo", "umnxeba", "inombolo", "nombor", "nomor", "hubungi", "tawag",
    "selpon", "numero", "finday", "telefo", "telefoni", "telefonoa", "pellgomz", "hezkuar", "pgz", "gqibel", "ċempel",
    "mowbajl", "taleefan", "teleefan", "laambar", "wac", "utaf", "antso", "bilbil", "điện", "đt", "sđt", "dđ", "gọi", "hotlin",
    "тел", "моб", "звон", "позвон", "дзвон", "телефон", "тэлеф", "сотов", "факс", "обажд", "обади", "мобил", "мабіл",
    "јави", "позов", "назов", "нөмір", "номер", "қоңырау", "байланыс", "утас", "дугаар", "шалтыр", "занг", "рақам", "ватсап",
    "вотсап", "вайбер", "контакт", "конт", "телеф", "гаряч", "горяч",
    "erreich", "joign", "whats", "zalo", "hub", "reach", "reachable", "calls", "calling", "called", "dialing", "anrufe", "bels", "belle", "sunat", "zavolej", "ringer", "ringen", "contacto", "truqu", "deitu", "mugikor", "teil", "glaoi", "chame", "chamar", "waya", "hringd", "telemov", "fone", "сот", "hamagar", "skakel", "selfoon",
    "belje", "ffoni", "shayela", "ifowuni", "ifoni", "foonu", "telepono", "lien he", "skambint", "hringja", "telefonuj", "τηλ", "κιν", "καλ", "φαξ", "հեռ", "զանգ", "բջջ", "ტელ", "მობ", "დარეკ",
)  # fmt: skip
"""Beginnings of words, in small letters, of languages that put spaces between words."""

ABBREVIATIONS = {
    "tel", "tell", "tlf", "tlph", "tlfn", "tfn", "tfno", "tf", "tél", "tèl", "ph", "pho", "phn", "mob",
    "cel", "cell", "cels", "fon", "fn", "puh", "p", "t", "m", "gsm", "fax", "wa", "nr", "text", "sms", "hp", "telp",
    "tlp", "no", "num", "št", "tālr", "talr", "tālrunis", "mobile", "cep", "kont", "kom", "kontakt", "s", "gm", "dt",
    "sími", "sim", "fôn", "ffôn", "fòn", "guthán", "gutháin", "uimhir", "т", "тф", "м", "мтс", "ring", "llame", "τ",
}  # fmt: skip
ALONE = {
    "p",
    "t",
    "m",
    "s",
    "nr",
    "no",
    "num",
    "št",
    "т",
    "м",
    "τ",
    "text",
    "kom",
    "sim",
    "tell",
    "uimhir",
    "fn",
    "kont",
}
"""Of the abbreviations and stems, those that are other words as well: they count only directly before the number, and
before a colon or full stop."""

NOUNS = (
    "tel", "tlf", "tfn", "tfno", "tél", "telef", "telép", "teléf", "téléph", "telpon", "telepon", "teilea", "tālr",
    "puh", "matkapuh", "gsm", "mobil", "mobiil", "móvil", "movil", "mobitel", "mobiel", "celular", "cellul", "cel",
    "mob", "handy", "rufnum", "phone", "whatsapp", "viber", "hotline", "fono", "fón", "ffôn", "sím", "cep", "telefax",
    "faks", "fax", "тел", "моб", "телефон", "тэлеф", "факс", "сот", "τηλ", "κιν", "հեռ", "ტელ", "მობ", "điện", "thoại",
    "đt", "sđt", "hp", "telp", "simu", "ph", "cell", "утас", "portable",
)  # fmt: skip
"""Nouns that label a number: behind one, and nothing but a colon or space, the form of a number is enough."""

SIGNS = (
    "☎", "微信", "同号", "☏", "📞", "📱", "✆", "📲", "🤙", "📠", "电话", "電話", "手机", "手機", "座机", "热线", "熱線", "致电", "來電", "联系方式", "行動", "手機",
    "传真", "傳真", "携帯", "ケータイ", "フリーダイヤル", "ファックス", "ダイヤル", "℡", "전화", "휴대", "핸드폰", "연락처", "팩스", "번호로", "문의",
    "هاتف", "الهاتف", "جوال", "الجوال", "موبايل", "محمول", "اتصل", "للتواصل", "تلفون", "واتس", "فاكس", "نقال",
    "تلفن", "تماس", "موبایل", "همراه", "شماره", "دورنگار", "ټلیفون", "تلیفون", "فون", "موبائل", "رابطہ", "ٹیلی", "واٹس",
    "تەلەفۆن", "مۆبایل", "تېلېفون", "يانفون", "טלפון", "טל'", "טל׳", "טל\"", "טל:", "טל.", "נייד", "סלולרי", "פקס", "התקשר", "חייג", "וואטסאפ",
    "फ़ोन", "फोन", "फ़ोन", "मोबाइल", "मोबाईल", "दूरभाष", "दूरध्वनी", "सम्पर्क", "संपर्क", "कॉल", "टेलिफोन", "व्हाट्स", "भ्रमण", "फोन", "हेल्पलाइन",
    "ফোন", "টেলিফোন", "মোবাইল", "যোগাযোগ", "কল ", "ਫ਼ੋਨ", "ਫੋਨ", "ਮੋਬਾਈਲ", "ਮੋਬਾਇਲ", "ਸੰਪਰਕ", "ફોન", "મોબાઇલ", "મોબાઈલ", "સંપર્ક", "ଫୋନ", "ମୋବାଇଲ", "ଯୋଗାଯୋଗ",
    "தொலைபேசி", "கைபேசி", "அலைபேசி", "தொடர்பு", "போன்", "ఫోన్", "మొబైల్", "సంప్రదించ", "ದೂರವಾಣಿ", "ಫೋನ್", "ಮೊಬೈಲ್", "ಸಂಪರ್ಕ", "ഫോൺ", "ഫോണ്‍", "മൊബൈൽ", "വിളിക്ക", "ബന്ധപ്പെ",
    "දුරකථන", "ජංගම", "අමතන්න", "ทร.", "โทร", "มือถือ", "เบอร์", "ติดต่อ", "แฟกซ์", "ໂທ", "ເບີ", "ມືຖື", "ဖုန်း", "ဆက်သွယ်", "ទូរស័ព្ទ", "ទូរសព្ទ", "លេខ", "ទាក់ទង",
    "ስልክ", "ተንቀሳቃሽ", "ደውሉ", "ይደውሉ", "ስልኪ", "ߕߋ", "տել", "ཁ་པར",
)  # fmt: skip
"""What marks a number in scripts where a word cannot be told by its beginning, and signs."""
