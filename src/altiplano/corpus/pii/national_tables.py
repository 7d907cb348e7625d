# ruff: noqa: E501
"""Forms of national identifiers by country. Checks are python-stdnum's where it has them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from altiplano.corpus.pii import national_checks as own
from altiplano.optional_imports import extra

Check = Callable[[str], bool]


def stdnum(module: str, **options: bool) -> Check:
    """python-stdnum's check of a value, imported when it is first needed."""

    def valid(value: str) -> bool:
        try:  # it does not know that Spain writes dots between digits
            return bool(extra(f"stdnum.{module}").is_valid(value.replace(".", ""), **options))
        except (IndexError, KeyError, TypeError, ValueError):  # as for a Chinese region that its table lacks
            return False

    return valid


GAP = r"[^\n;!?]{0,30}"
NUMBER = r"(?:\W{0,3}(?:is|no|nr|num\w*|n[º°o]|№|č|номер\w*|seri\w*|сери\w*|号码|號碼|番号|번호))?\W{0,4}"


@dataclass(frozen=True)
class Identifier:
    """``words``: a pattern for its names, one of which must stand before it; empty: its form is enough. ``tight``: with
    nothing but a word for number between."""

    country: str
    form: str
    valid: Check
    words: str = ""
    tight: bool = False
    shape: re.Pattern[str] = field(init=False)
    named: re.Pattern[str] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.words:
            object.__setattr__(self, "shape", re.compile(self.form, re.ASCII))
            object.__setattr__(
                self, "named", re.compile(rf"(?:{self.words}){NUMBER if self.tight else GAP}$", re.IGNORECASE)
            )
        else:  # neither part of a longer word or number nor of a decimal; its first class is what the engine looks for
            first, times, rest = re.fullmatch(r"(\[[^]]*\]|\\d)(?:\{(\d+)\})?(.*)", self.form).groups()  # type: ignore[union-attr]
            again = f"{first}{{{int(times) - 1}}}" if times else ""
            whole = rf"{first}(?<![\w.+/-].){again}{rest}(?![\w-])(?![.,/:]\d)"
            object.__setattr__(self, "shape", re.compile(whole, re.ASCII))


def prefixes(words: str, length: int) -> set[str]:
    """The first letters, in small, of all texts that a pattern of names matches; shorter ones are whole."""
    from re import _parser as parser  # type: ignore[attr-defined]

    def begin(tree: object) -> set[str]:
        found = {""}
        for name, value in tree:  # type: ignore[attr-defined]
            kind = str(name)
            if kind == "LITERAL":
                more = {chr(value).lower() if chr(value).isalnum() else "|"}
            elif kind == "IN":
                more = {chr(v).lower() if chr(v).isalnum() else "|" for k, v in value if str(k) == "LITERAL"}
                more |= {""} if any(str(k) != "LITERAL" for k, _ in value) else set()
            elif kind == "SUBPATTERN":
                more = begin(value[3])
            elif kind == "BRANCH":
                more = set().union(*(begin(branch) for branch in value[1]))
            elif kind == "MAX_REPEAT":
                more = begin(value[2]) | ({""} if value[0] == 0 else set())
            else:
                more = {""}
            found = {a if len(a) >= length or "|" in a else a + b for a in found for b in more}
        return found

    return {found.split("|")[0][:length] for found in begin(parser.parse(words)) if found.strip("|")}


ANY = own.no_check
CEDULA = r"c[ée]dula|\bc\.? ?[ic]\b\.?|identidad|documento"
JMBG = r"jmbg|јмбг|jmb\b|јмб|emb[gš]|ембг|em[šs]o|mati[čc]n|матичн"

PASSPORT = (
    r"passport|reisepass|\bpass-?(?:nr|nummer)|passeport|pasaporte|passaporto|passaporte|paspoort|passnummer|\bpassi\b|passin numero|\bpas\b|útlevél|"
    r"паспорт\w*|护照|護照|パスポート|旅券|여권|pasaport\w*|paszport\w*|putovnic\w*|pasoš\w*|пасош\w*|pașaport\w*|διαβατηρ\w*|جواز|گذرنامه|پاسپورٹ|דרכון|"
    r"หนังสือเดินทาง|hộ chiếu|पासपोर्ट|পাসপোর্ট|pasport\w*|paspor|vegabréf\w*|pas[eė] |pase\b|паспорты|төлқұжат|պասպորտ|անձնագ\w*|პასპორტ|cestovn\w*|potni list|hati ya kusafiria|pasaportunuz"
)

IDENTIFIERS = (
    # Europe
    Identifier("ES", r"\d\d(?:\d{6}|\.\d{3}\.\d{3})[- ]?[A-Z]", stdnum("es.dni")),
    Identifier("ES", r"[XYZ]-?\d{7}-?[A-Z]", stdnum("es.nie")),
    Identifier("ES", r"\d\d[ /-]?\d{8}[ /-]?\d\d", own.spanish_social, r"seguridad social|\bnuss\b|\bnss\b|afiliaci"),
    Identifier("FR", r"[12] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d", stdnum("fr.nir")),
    Identifier("FR", r"[0-3]\d(?: ?\d\d)(?: ?\d{3}){3}", stdnum("fr.nif"), r"fiscal|\bspi\b|\bnif\b|impôt"),
    Identifier("IT", r"[A-Z]{6}\d\d[ABCDEHLMPRST]\d\d[A-Z]\d{3}[A-Z]", stdnum("it.codicefiscale")),
    Identifier("DE", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}", stdnum("de.idnr"), r"steuer|idnr|\btin\b|tax id"),
    Identifier("DE", r"\d{2,3}[/ ]?\d{3,4}[/ ]?\d{4,5}", ANY, r"steuernummer|\bst\.?-?nr"),
    Identifier("DE", r"\d\d ?\d{6} ?[A-Z] ?\d{3}", ANY, r"versicherungsn|\bsvnr|rentenv|sozialv|rvnr"),
    Identifier("FR", r"\d{12}|[A-Z0-9]{4}\d[A-Z0-9]{4}", ANY, r"carte (?:nationale )?d.identité|\bcni\b"),
    Identifier("IT", r"[A-Z]{2} ?\d{5}[A-Z]{2}|[A-Z]{2} ?\d{7}", ANY, r"carta d.identità|\bc\.?i\.?e\b"),
    Identifier("DE", r"[A-Z]\d{9}", ANY, r"krankenv|versichert|\bkvnr|gesundheitskarte"),
    Identifier("DE", r"[A-Z0-9]{9,10}D?", ANY, r"personalausweis|ausweisn|ausweis-?nr|perso\b"),
    Identifier("AT", r"\d{4} ?\d{6}", stdnum("at.vnr"), r"\bsv-?n|versicherung|svnr|e-card"),
    Identifier("AT", r"\d\d[- ]?\d{3}/?\d{4}", ANY, r"steuernummer|abgabenkonto|\bst\.?-?nr"),
    Identifier("CH", r"[7]56\.\d{4}\.\d{4}\.\d\d", stdnum("ch.ssn")),
    Identifier("CH", r"756\d{10}", stdnum("ch.ssn"), r"\bahv|\bavs|sozialvers|\bnavs"),
    Identifier("PL", r"\d{11}", stdnum("pl.pesel"), r"pesel"),
    Identifier("PL", r"[A-Z]{3} ?\d{6}", ANY, r"dow[oó]d|\bdo\b osobist"),
    Identifier("PL", r"\d{3}-?\d{3}-?\d\d-?\d\d", stdnum("pl.nip"), r"\bnip (?:osob|pan|pracown)"),
    Identifier("SE", r"\d{6}[-+]\d{4}", own.swedish, r"person(?:nummer|nr)|\bp-?nr\b|född|samordningsnummer"),
    Identifier("SE", r"[12][089]\d{6}[-+]?\d{4}", own.swedish, r"person(?:nummer|nr)|\bp-?nr\b|född|samordningsnummer"),
    Identifier("SE", r"\d{10}", own.swedish, r"person(?:nummer|nr)|samordningsnummer"),
    Identifier("FI", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]", stdnum("fi.hetu", allow_temporary=True)),
    Identifier("NO", r"\d{6} ?\d{5}", own.norwegian, r"fødsels|fodsels|personn(?:ummer|r)|f\.?nr|d-nummer|nasjonal"),
    Identifier("DK", r"\d{6}[- ]?\d{4}", own.danish, r"\bcpr|personn(?:ummer|r)"),
    Identifier("IS", r"\d{6}-?\d{4}", stdnum("is_.kennitala"), r"kennit|\bkt\b|kennital"),
    Identifier("NL", r"\d{4}[. ]?\d\d[. ]?\d{3}|\d{3}[. ]\d{3}[. ]\d{3}", stdnum("nl.bsn"), r"\bbsn\b|burgerservice|sofi|service ?nummer"),
    Identifier("BE", r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", own.belgian),
    Identifier("BE", r"\d{11}|\d{6}[ -]\d{3}[ .-]\d\d", own.belgian, r"rijksregister|registre national|\binsz|\bniss|national number|\brrn"),
    Identifier("GB", r"[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]", own.british, r"national insurance|\bnino?\b|\bni n|\bni:"),
    Identifier("GB", r"\d{3}[ -]?\d{3}[ -]?\d{4}", stdnum("gb.nhs"), r"\bnhs\b"),
    Identifier("GB", r"\d{5} ?\d{5}", stdnum("gb.utr"), r"\butr\b|unique taxpayer"),
    Identifier("GB", r"[A-Z][A-Z9]{4}\d[0156]\d[0-3]\d\d[A-Z][A-Z9][A-Z0-9][A-Z]{2}", ANY),
    Identifier("IE", r"\d{7}[A-W][A-IW]?", stdnum("ie.pps"), r"\bpps|personal public service|\buimhir psp"),
    Identifier("PT", r"[1-3]\d\d ?\d{3} ?\d{3}", stdnum("pt.nif"), r"\bnif\b|contribuinte"),
    Identifier("PT", r"\d{8} ?\d ?[A-Z0-9]{2}\d", stdnum("pt.cc"), r"cart[ãa]o de cidad|\bcc\b|identifica"),
    Identifier("PT", r"\d{11}", ANY, r"\bniss\b|segurança social"),
    Identifier("GR", r"\d{11}", stdnum("gr.amka"), r"αμκα|\bamka"),
    Identifier("GR", r"\d{9}", stdnum("gr.vat"), r"αφμ|α\.φ\.μ|\bafm"),
    Identifier("GR", r"[A-ZΑ-Ω]{1,2}[ -]?\d{6}", ANY, r"ταυτότητ|αδτ|α\.δ\.τ"),
    Identifier("CY", r"\d{8}[A-Z]|\d{6,8}", ANY, r"αριθμ\w+ (?:δελτίου )?ταυτότητ"),
    Identifier("TR", r"[1-9]\d{10}", stdnum("tr.tckimlik"), r"kimlik|\btc\b|t\.c\.|\btckn"),
    Identifier("RU", r"\d{3}-\d{3}-\d{3}[ -]\d\d", own.russian),
    Identifier("RU", r"\d{11}", own.russian, r"снилс"),
    Identifier("RU", r"\d{12}", stdnum("ru.inn"), r"\bинн\b"),
    Identifier("RU", r"\d\d ?\d\d ?(?:№ ?)?\d{6}", ANY, r"паспорт|пашпарт|паспортн|сери[яи]|водительск"),
    Identifier("RU", r"\d{16}", ANY, r"\bомс\b|полис"),
    Identifier("UA", r"\d{10}", stdnum("ua.rntrc"), r"рнокпп|іпн|ідентифікаційн|\bінн\b|податков"),
    Identifier("UA", r"\d{9}|[A-ZА-ЯІЇЄ]{2} ?\d{6}|\d{8}-\d{5}", ANY, r"паспорт|унзр"),
    Identifier("BY", r"[1-6]\d{6}[ABCHKEM]\d{3}(?:PB|BA|BI)\d", ANY),
    Identifier("BG", r"\d{10}", stdnum("bg.egn"), r"\bегн|\begn|граждански"),
    Identifier("BG", r"\d{10}", stdnum("bg.pnf"), r"\bлнч|\blnch|личен номер"),
    Identifier("RO", r"[1-8]\d{12}", stdnum("ro.cnp"), r"\bcnp\b|cod numeric|codul numeric"),
    Identifier("RO", r"[A-Z]{2} ?\d{6}", ANY, r"\bc\.?i\.?\b|carte de identitate|buletin|seria|serie"),
    Identifier("MD", r"[0-2]\d{12}", stdnum("md.idno"), r"\bidnp|cod personal|codul personal"),
    Identifier("HU", r"\d{3}[ -]?\d{3}[ -]?\d{3}", own.hungarian_health, r"\btaj\b|társadalombiztos"),
    Identifier("HU", r"8\d{9}", own.hungarian_tax, r"adóazonosító|adószám"),
    Identifier("HU", r"[1-8]-?\d{6}-?\d{4}", own.dated(1), r"személyi (?:szám|azonosító)|személyazonosító"),
    Identifier("HU", r"\d{6} ?[A-Z]{2}", ANY, r"személyi(?:gazolvány)?|okmány"),
    Identifier("CZ", r"\d{6}/\d{3,4}", stdnum("cz.rc"), r"rodn[éeáa]|\br\.? ?[čc]\.?|\brč"),
    Identifier("CZ", r"\d{9,10}", stdnum("cz.rc"), r"rodn[éeáa]|\br\.? ?[čc]\.|\brč"),
    Identifier("SK", r"[A-Z]{2} ?\d{6}|\d{9}", ANY, r"občiansk|občansk|číslo op\b|\bč\. ?op|\bop č"),
    Identifier("SI", r"[0-3]\d[01]\d[09]\d{8}", own.yugoslav, JMBG),
    Identifier("SI", r"\d{8}", stdnum("si.ddv"), r"davčna"),
    Identifier("HR", r"\d{11}", stdnum("hr.oib"), r"\boib|osobni identifik"),
    Identifier("AL", r"[A-Z]\d{8}[A-Z]", ANY, r"\bnid\b|personal|letërnjoft|\bnipt?\b|id\b"),
    Identifier("EE", r"[1-8]\d{10}", stdnum("ee.ik"), r"isikukood|\bik\b|личный код|personal code"),
    Identifier("LT", r"[1-9]\d{10}", stdnum("lt.asmens"), r"asmens k|a\. ?k\.|personal code"),
    Identifier("LV", r"[0-3]\d{5}-\d{5}", own.latvian, r"person\w* kod|\bp\. ?k\.|personal code|код"),
    Identifier("LV", r"[0-3]\d{10}", own.latvian, r"person\w* kod|\bp\. ?k\."),
    Identifier("LU", r"(?:19|20)\d{2} ?\d{4} ?\d{5}", ANY, r"matricule|national|sozialvers|identifica"),
    Identifier("MT", r"\d{5,7}[MGAPLHBZ]", ANY, r"\bid\b|identit"),
    Identifier("GE", r"\d{11}", ANY, r"პირად|personal (?:no|num|id)|п/н|\bp/n"),
    Identifier("AM", r"\d{10}|[A-Z]{2}\d{7}|\d{9}", ANY, r"հծհ|հանրային ծառայ|ՀԾՀ|սոց|անձնագ"),
    Identifier("AZ", r"(?=[A-Z0-9]*\d)[A-Z0-9]{7}", ANY, r"\bf[iİı]n\b|\bfin kod"),
    # Americas
    Identifier("US", r"\d{3}-\d\d-\d{4}", own.american),
    Identifier("US", r"\d{3}[ ]?\d\d[ ]?\d{4}", own.american, r"\bssn\b|social security"),
    Identifier("US", r"9\d\d-?(?:[5-8]\d|9[0-24-9])-?\d{4}", ANY, r"\bitin\b|taxpayer"),
    Identifier("US", r"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-[AC-HJKMNP-RT-Y]{2}\d\d", ANY),
    Identifier("US", r"[1-9][A-Z][A-Z0-9]\d[A-Z][A-Z0-9]\d[A-Z]{2}\d\d", ANY, r"medicare|\bmbi\b"),
    Identifier("CA", r"[1-79]\d\d([ -])\d{3}\1\d{3}", stdnum("ca.sin"), r"\bsin\b|social insurance|\bnas\b|assurance sociale"),
    Identifier("CA", r"[1-79]\d{8}", stdnum("ca.sin"), r"\bsin\b|social insurance|\bnas\b|assurance sociale"),
    Identifier("CA", r"9\d{3} ?\d{3} ?\d{3}", stdnum("ca.bc_phn"), r"\bphn\b|health (?:number|card)|care card"),
    Identifier("CA", r"\d{4}[ -]?\d{3}[ -]?\d{3}(?:[ -]?[A-Z]{2})?|[A-Z]{4} ?\d{4} ?\d{4}", ANY, r"health card|\bohip\b|\bramq\b|assurance[- ]maladie"),
    Identifier("MX", r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z\d]\d", stdnum("mx.curp")),
    Identifier("MX", r"[A-ZÑ&]{4}-?\d{6}-?[A-Z0-9]{3}", own.dated(0), r"\brfc\b|contribuyente"),
    Identifier("MX", r"\d{2} ?\d{2} ?\d{2} ?\d{4} ?\d", ANY, r"\bnss\b|\bimss\b|seguro social"),
    Identifier("BR", r"\d{3}\.\d{3}\.\d{3}-\d\d", stdnum("br.cpf")),
    Identifier("BR", r"\d{11}|\d{9}-\d\d", stdnum("br.cpf"), r"\bcpf\b"),
    Identifier("BR", r"\d{1,2}\.?\d{3}\.?\d{3}-?[\dX]", ANY, r"\brg\b|identidade|registro geral"),
    Identifier("BR", r"\d{3}\.?\d{5}\.?\d\d-?\d", ANY, r"\bpis\b|\bpasep\b|\bnis\b|\bnit\b"),
    Identifier("BR", r"\d{11}|\d{4} ?\d{4} ?\d{4}", ANY, r"\bcnh\b|habilita|eleitor"),
    Identifier("AR", r"\d{1,2}\.\d{3}\.\d{3}|\d{7,8}", ANY, r"\bd\.?n\.?i\b|documento"),
    Identifier("AR", r"2[0347]-?\d{8}-?\d", stdnum("ar.cuit"), r"\bcui[tl]\b|\bc\.u\.i\.[tl]"),
    Identifier("CL", r"\d{1,2}\.?\d{3}\.?\d{3}-[\dkK]", stdnum("cl.rut"), r"\brut\b|\brun\b|\br\.u\.[tn]|c[ée]dula|carnet"),
    Identifier("CO", r"\d{1,3}(?:\.?\d{3}){2,3}", ANY, r"c[ée]dula|\bc\.? ?c\b|ciudadan|\bt\.i\b"),
    Identifier("PE", r"\d{8}(?:-\d)?", ANY, r"\bdni\b|documento"),
    Identifier("PE", r"10\d{9}", stdnum("pe.ruc"), r"\bruc\b"),
    Identifier("VE", r"[VEJ]-?\d{1,2}\.?\d{3}\.?\d{3}(?:-?\d)?", ANY, r"c[ée]dula|\bc\.? ?i\b|\brif\b|identidad"),
    Identifier("EC", r"\d{9}-?\d", stdnum("ec.ci"), CEDULA),
    Identifier("BO", r"\d{6,8}(?:[ -][A-Z]{2})?", ANY, r"\bc\.?i\b\.?|carnet"),
    Identifier("UY", r"\d\.?\d{3}\.?\d{3}-?\d", own.uruguayan, CEDULA),
    Identifier("PY", r"\d\.?\d{3}\.?\d{3}", ANY, r"c[ée]dula|\bc\.i\b"),
    Identifier("DO", r"\d{3}-?\d{7}-?\d", stdnum("do.cedula"), CEDULA),
    Identifier("CR", r"[1-9]-?\d{4}-?\d{4}", ANY, CEDULA),
    Identifier("CU", r"\d{11}", own.dated(0), r"\bni\b|carn[ée]|identidad"),
    Identifier("SV", r"\d{8}-\d", ANY, r"\bdui\b|documento"),
    Identifier("SV", r"\d{4}-?\d{6}-?\d{3}-?\d", ANY, r"\bnit\b"),
    Identifier("GT", r"\d{4} ?\d{5} ?\d{4}", ANY, r"\bdpi\b|\bcui\b"),
    Identifier("HN", r"[01]\d{3}-?(?:19|20)\d\d-?\d{5}", ANY, r"identidad|\bdni\b|\brtn\b"),
    Identifier("PA", r"(?:\d{1,2}|E|PE|N)-\d{1,4}-\d{1,6}", ANY, r"c[ée]dula|identidad"),
    Identifier("NI", r"\d{3}-?\d{6}-?\d{4}[A-Z]", ANY, r"c[ée]dula|identidad"),
    # Asia and Oceania
    Identifier("CN", r"[1-8]\d{5}(?:18|19|20)\d{9}[\dXx]", stdnum("cn.ric")),
    Identifier("HK", r"[A-Z]{1,2}\d{6}\([0-9A]\)", own.hong_kong, r"身[份分]|hkid|identity|\bid\b"),
    Identifier("TW", r"[A-Z][1289]\d{8}", own.taiwanese, r"身[份分]證|統一|national id|\bid\b|居留"),
    Identifier("IN", r"[2-9]\d{3}([ -]?)\d{4}\1\d{4}", stdnum("in_.aadhaar"), r"aadh?aa?r|आधार|uidai|uid\b|আধার|ஆதார்|ఆధార్|ಆಧಾರ್|ആധാർ|આધાર|ਆਧਾਰ|ଆଧାର"),
    Identifier("IN", r"[A-Z]{3}P[A-Z]\d{4}[A-Z]", stdnum("in_.pan"), r"\bpan\b|permanent account|पैन|income tax|प्यान|প্যান|பான்|పాన్|પાન"),
    Identifier("IN", r"[A-Z]{3}\d{7}", stdnum("in_.epic"), r"voter|\bepic\b|मतदाता|पहचान"),
    Identifier("PK", r"[1-7]\d{4}-\d{7}-\d", stdnum("pk.cnic")),
    Identifier("PK", r"[1-7]\d{12}", stdnum("pk.cnic"), r"cnic|شناختی|nicop"),
    Identifier("BD", r"\d{10}|\d{13}|\d{17}|\d{3} \d{3} \d{4}", ANY, r"\bnid\b|এনআইডি|জাতীয় পরিচয়|national id"),
    Identifier("NP", r"\d{2}-\d{2}-\d{2}-\d{5}|\d{2,3}[-/]\d{2,6}", ANY, r"नागरिकता|citizenship"),
    Identifier("LK", r"\d{9} ?[VXvx]|(?:19|20)\d{10}", ANY, r"\bnic\b|හැඳුනුම්|அடையாள|identity"),
    Identifier("KR", r"\d{6}-\d{7}", own.korean),
    Identifier("JP", r"\d{4}([ -]?)\d{4}\1\d{4}", stdnum("jp.in_"), r"マイナンバー|個人番号|my number"),
    Identifier("JP", r"\d{12}", ANY, r"免許証"),
    Identifier("TH", r"\d[- ]\d{4}[- ]\d{5}[- ]\d\d[- ]\d|\d{13}", stdnum("th.pin"), r"บัตร|ประชาชน|เลขประจำตัว|national id|thai id"),
    Identifier("VN", r"0\d{2} ?\d{3} ?\d{3} ?\d{3}|\d{9}", ANY, r"cccd|căn cước|cmnd|chứng minh|định danh"),
    Identifier("ID", r"[1-9]\d{15}", stdnum("id.nik"), r"\bnik\b|\bktp\b|kependudukan|\bno\. ?ktp"),
    Identifier("ID", r"\d\d\.?\d{3}\.?\d{3}\.?\d-?\d{3}\.?\d{3}", ANY, r"npwp"),
    Identifier("MY", r"\d{6}-?\d\d-?\d{4}", own.dated(0), r"\bi\.?c\b|nric|mykad|kad pengenalan|no\. ?kp|身份证"),
    Identifier("SG", r"[STFGM]\d{7}[A-Z]", own.singaporean),
    Identifier("PH", r"\d\d-?\d{7}-?\d", ANY, r"\bsss\b"),
    Identifier("PH", r"\d{4}-?\d{4}-?\d{4}(?:-?\d{4})?|\d\d-?\d{9}-?\d", ANY, r"philsys|national id|philhealth|pag-?ibig|\bpsn\b|\bpcn\b|\bcrn\b|umid"),
    Identifier("PH", r"\d{3}-?\d{3}-?\d{3}(?:-?\d{3,5})?", ANY, r"\btin\b"),
    Identifier("MM", r"\d{1,2}/[A-Z]{3,9}\([NEPC]\)\d{6}", ANY, r"nrc|မှတ်ပုံတင်|နိုင်ငံသား"),
    Identifier("KZ", r"\d{12}", own.kazakh, r"\bиин|жсн|\biin\b"),
    Identifier("KG", r"[12]\d{13}", ANY, r"\bинн\b|пин|\bпин\b|жеке"),
    Identifier("UZ", r"[3-6]\d{13}", ANY, r"пинфл|jshshir|жшшир|pinfl"),
    Identifier("MN", r"[A-ZА-ЯӨҮ]{2}\d{8}", ANY, r"регистр|\bрд\b"),
    Identifier("IR", r"\d{10}|\d{3}-\d{6}-\d", own.iranian, r"کد ملی|کدملی|شماره ملی|ملي"),
    Identifier("IL", r"\d{8,9}|\d{8}-\d", stdnum("il.idnr"), r"ת[.\"״]?ז|תעודת זהות|מספר זהות|teudat|zehut|israeli id"),
    Identifier("SA", r"[12]\d{9}", own.luhn, r"الهوية|هوية|إقامة|الإقامة|اقامة|iqama|national id|السجل المدني"),
    Identifier("AE", r"784-?(?:19|20)\d\d-?\d{7}-?\d", ANY, r"الهوية|هوية|emirates id|identity|\bid\b"),
    Identifier("KW", r"[23]\d{11}", ANY, r"المدني|civil id"),
    Identifier("EG", r"[23]\d{13}", own.egyptian, r"قومي|القومي|national id|الهوية"),
    Identifier("AU", r"\d{3} ?\d{3} ?\d{3}", stdnum("au.tfn"), r"\btfn\b|tax file"),
    Identifier("AU", r"[2-6]\d{3} ?\d{5} ?\d(?:[ /-]?\d)?", own.australian_medicare, r"medicare"),
    Identifier("NZ", r"\d{2,3}[ -]?\d{3}[ -]?\d{3}", stdnum("nz.ird"), r"\bird\b|inland revenue|tax number"),
    Identifier("NZ", r"[A-HJ-NP-Z]{3}(?:\d{4}|\d\d[A-HJ-NP-Z]{2})", ANY, r"\bnhi\b"),
    # Africa
    Identifier("ZA", r"\d{6} ?\d{4} ?[012]\d\d", own.south_african, r"\bid\b|identity|identiteit|isazisi|umazisi"),
    Identifier("NG", r"\d{4}[ -]?\d{3}[ -]?\d{4}", ANY, r"\bnin\b|\bbvn\b|national identi"),
    Identifier("GH", r"[G]HA-\d{9}-\d", ANY),
    Identifier("KE", r"A\d{9}[A-Z]", stdnum("ke.pin"), r"\bpin\b|\bkra\b"),
    Identifier("KE", r"\d{7,8}", ANY, r"national id|kitambulisho|\bid (?:no|number)\b"),
    Identifier("TZ", r"(?:19|20)\d{6}-?\d{5}-?\d{5}-?\d\d", ANY, r"\bnida\b|\bnin\b|kitambulisho|utaifa"),
    Identifier("UG", r"C[MF][A-Z0-9]{12}", ANY, r"\bnin\b|national id"),
    Identifier("RW", r"[12] ?(?:19|20)\d\d ?[78] ?\d{7} ?\d ?\d\d", ANY, r"indangamuntu|irangamuntu|national id|\bnid\b|\bid\b"),
    Identifier("MA", r"[A-Z]{1,2} ?\d{5,6}", ANY, r"\bcin\b|\bcni[en]\b|البطاقة الوطنية|بطاقة التعريف"),
    Identifier("TN", r"[01]\d{7}", ANY, r"\bcin\b|بطاقة التعريف|ب\.ت\.و"),
    Identifier("DZ", r"\d{18}", ANY, r"\bnin\b|بطاقة التعريف|رقم التعريف"),
    Identifier("SN", r"[12] ?\d{3} ?(?:19|20)\d\d ?\d{5}", ANY, r"\bcni\b|identité"),
    Identifier("ZW", r"\d\d-?\d{6,7} ?[A-Z] ?\d\d", ANY, r"\bid\b|national|identity"),
    Identifier("ZM", r"\d{6}/\d\d/\d", ANY, r"\bnrc\b|national reg"),
    Identifier("MZ", r"\d{12}[A-Z]", ANY, r"\bbi\b|bilhete de identidade"),
    Identifier("AO", r"\d{9}[A-Z]{2}\d{3}", ANY, r"\bbi\b|bilhete de identidade"),
    Identifier("MU", r"[A-Z]\d{12}[A-Z0-9]", stdnum("mu.nid"), r"\bnic?\b|national id|identity|\bid\b"),
    Identifier("ET", r"\d{4} ?\d{4} ?\d{4}(?: ?\d{4})?", ANY, r"fayda|ፋይዳ"),
    Identifier("MG", r"\d{3} ?\d{3} ?\d{3} ?\d{3}", ANY, r"\bcin\b|karapanondro"),
    # Documents of any country
    Identifier("passport", r"\d\d[A-Z]{2}\d{5}|\d\d ?\d{7}", ANY, r"passeport|паспорт\w*|загранпаспорт\w*"),
    Identifier("passport", r"[A-Z]{1,3}[ -]?\d{6,9}[A-Z]{0,2}\d?|\d{6}[A-Z]{2}|[A-Z]{2}\d{5}|[A-Z]\d[A-Z0-9]{5,8}", ANY, PASSPORT),
    Identifier("passport", r"\d{7,9}", ANY, PASSPORT, tight=True),
    Identifier("driving licence", r"(?=[A-Z0-9 -]*\d[A-Z0-9 -]*\d[A-Z0-9 -]*\d)[A-Z0-9]{1,10}(?:[ /-]?[A-Z0-9]{2,10}){0,4}", ANY,
        r"driver'?s? licen[cs]e|driving licen[cs]e|driver'?s? lic|\bdl (?:no|number|#)|führerschein\w*|permis de conduire|permiso de conduc\w+|licencia de conducir|carn[ée] de conducir|"
        r"patente di guida|\bpatente\b|carteira de (?:motorista|habilita)|carta de condução|rijbewijs\w*|körkort\w*|førerkort\w*|kørekort\w*|ajokort\w*|"
        r"prawo jazdy|řidičsk\w+ průkaz\w*|vodičsk\w+|vozačk\w+|возачк\w+|водительск\w+|посвідчення водія|ehliyet|sürücü belgesi|άδεια οδήγησης|运转|驾驶证|驾照|駕照|"
        r"운전면허|ใบขับขี่|giấy phép lái xe|\bgplx|\bsim [abc]\b|lesen memandu|ड्राइविंग|רישיון נהיגה|رخصة|گواهینامه|jogosítvány|permis\w* auto"),
)  # fmt: skip
