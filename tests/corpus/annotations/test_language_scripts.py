"""Scripts as part of the answer, languages that nobody knows, and text that is no prose of any language."""

import base64
import random
import unicodedata

import numpy as np
import pytest

from altiplano.corpus.annotations import language_models
from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.language_tags import LANGUAGES, NO_LANGUAGE, declared_language, differs
from altiplano.corpus.annotations.scripts import code_points, primary, script_shares
from altiplano.corpus.annotations.text_statistics import statistics
from altiplano.corpus.filters.heuristics import unknown, wanted

TEXTS = {
    "sr": (
        "Црква стоји на крају села и прошле године је добила нови кров. Деца иду у школу преко моста, а после подне "
        "помажу родитељима у пољу. Време је данас лепо, па ће сви изаћи напоље."
    ),
    "sr-Latn": (
        "Crkva stoji na kraju sela i prošle godine je dobila novi krov. Deca idu u školu preko mosta, a posle podne "
        "pomažu roditeljima u polju. Vreme je danas lepo, pa će svi izaći napolje gde je toplo."
    ),
    "hr": (
        "Crkva stoji na kraju sela i prošle je godine dobila novi krov. Djeca idu u školu preko mosta, a poslije "
        "podne pomažu roditeljima u polju. Vrijeme je danas lijepo, pa će svi izaći van gdje je toplo."
    ),
    "az": (
        "Kilsə kəndin kənarında yerləşir və keçən il yeni dam örtüyü aldı. Uşaqlar məktəbə körpüdən keçib gedirlər, "
        "günortadan sonra isə tarlada valideynlərinə kömək edirlər. Bu gün hava çox gözəldir."
    ),
    "az-Cyrl": (
        "Килсә кәндин кәнарында јерләшир вә кечән ил јени дам өртүјү алды. Ушаглар мәктәбә көрпүдән кечиб ҝедирләр, "
        "ҝүнортадан сонра исә тарлада валидејнләринә көмәк едирләр. Бу ҝүн һава чох ҝөзәлдир."
    ),
    "uz": (
        "Maktab qishloqning chetida joylashgan va o‘tgan yili yangi tom bilan yopilgan. Bolalar ko‘prikdan o‘tib "
        "darsga borishadi, tushdan keyin esa ota-onalariga dalada yordam berishadi."
    ),
    "uz-Cyrl": (
        "Мактаб қишлоқнинг четида жойлашган ва ўтган йили янги том билан ёпилган. Болалар кўприкдан ўтиб дарсга "
        "боришади, тушдан кейин эса ота-оналарига далада ёрдам беришади."
    ),
    "ug-Latn": (
        "Mektep yézining chétige jaylashqan bolup, ötken yili yéngi ögze bilen yépilghan. Balilar köwrüktin ötüp "
        "derske baridu, chüshtin kéyin bolsa ata-anilirigha étizda yardem béridu. Bügün hawa bek yaxshi."
    ),
    "kk": (
        "Мектеп ауылдың шетінде орналасқан және былтыр жаңа шатырмен жабылды. Балалар көпірден өтіп сабаққа барады, "
        "түстен кейін ата-аналарына егістікте көмектеседі. Бүгін ауа райы өте жақсы."
    ),
    "kk-Latn": (
        "Mektep auyldyñ şetınde ornalasqan jäne byltyr jaña şatyrmen jabyldy. Balalar köpırden ötıp sabaqqa barady, "
        "tüsten keiın ata-analaryna egıstıkte kömektesedı. Bügın aua raiy öte jaqsy."
    ),
    "ku-Arab": (
        "قوتابخانەکە لە کەناری گوندەکەیە و ساڵی ڕابردوو بە سەقفێکی نوێ داپۆشرا. منداڵان بە پردەکەدا دەڕۆن بۆ "
        "قوتابخانە و دوای نیوەڕۆ یارمەتی دایک و باوکیان دەدەن لە کێڵگەکەدا."
    ),
    "zh": (
        "教堂位于村庄的边缘，去年换了新的屋顶。孩子们每天过桥去学校上课，下午回来帮助父母在田里劳动。今天天气很好，大"
        "家都要出门散步。"
    ),
    "zh-Hant": (
        "教堂位於村莊的邊緣，去年換了新的屋頂。孩子們每天過橋去學校上課，下午回來幫助父母在田裡勞動。今天天氣很好，大"
        "家都要出門散步。"
    ),
    "en": (
        "The church stands at the edge of the village and got a new roof last year. The children cross the bridge to "
        "get to school, and in the afternoon they help their parents in the fields."
    ),
}

FOREIGN = {
    "Māori": (
        "Kei te haere ahau ki te toa ki te hoko parāoa me te miraka mō te parakuihi apōpō, ā, ka hoki mai au ki te "
        "kāinga i te ahiahi. He pai te rangi i tēnei rā, nō reira ka haere mātou ki te takutai ki te kaukau."
    ),
    "Hawaiian": (
        "Ke hele nei au i ka hale kūʻai e kūʻai i ka palaoa a me ka waiū no ka ʻaina kakahiaka o ka lā ʻapōpō. He "
        "nani ka lā i kēia lā, no laila e hele ana mākou i kahakai e ʻauʻau ai me nā keiki."
    ),
    "Wolof": (
        "Damay dem marse bi jënd mburu ak meew ngir ndékki suba, ba noppi ma dellusi kër ga ci ngoon. Tey jamono ji "
        "neex na, moo tax ñu bëgg a dem tefes ga ngir sangu ak xale yi."
    ),
    "Tok Pisin": (
        "Mi laik go long stua na baim bret na susu bilong kaikai long moning tumora, na bihain bai mi kam bek long "
        "haus. San i gutpela tude, olsem na mipela i laik go long nambis na waswas wantaim ol pikinini."
    ),
}


def junk():
    generator = random.Random(1)

    def random_text(letters, number):
        return "".join(generator.choice(letters) for _ in range(number))

    return {
        "romaji": (
            "Kesa wa hayaku okite kawa no soba o arukimashita. Sora wa aoku, kaze wa tsumetakute, tori no koe ga "
            "kikoete imashita. Ie ni kaette kara ocha o nomi, haha ni tegami o kakimashita."
        ),
        "Pinyin": (
            "wo men jin tian qu gong yuan san bu, tian qi hen hao, hai zi men dou zai cao di shang wan shua. wan shang "
            "wo men yi qi chi fan, ran hou hui jia xiu xi, ming tian hai yao shang ban"
        ),
        "Greek in Latin letters": (
            "shmera phga sthn agora kai agorasa ntomates kai psomi, meta gyrisa sto spiti kai mageirepsa gia thn "
            "oikogeneia mou, ayrio tha pame sth thalassa an einai kalos o kairos"
        ),
        "lorem ipsum": (
            "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et "
            "dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris."
        ),
        "its generators": (
            "Vestibulum ante ipsum primis in faucibus orci luctus et ultrices posuere cubilia curae; suspendisse "
            "potenti. Pellentesque habitant morbi tristique senectus et netus et malesuada fames."
        ),
        "mashed keys": (
            "asdf jkl asdlkfj qwerpoiu zxcvmn asdfasdf lkjh qwer tyuiop gfdsa hjkl vbnm asdkjh qweoiu zmxncb"
        ),
        "base64": base64.b64encode(generator.randbytes(220)).decode(),
        "hexadecimal": random_text("0123456789abcdef", 300),
        "protein": random_text("ACDEFGHIKLMNPQRSTVWY", 300),
        "random words": " ".join(
            random_text("abcdefghijklmnopqrstuvwxyz", generator.randrange(3, 9)) for _ in range(40)
        ),
        "code": (
            "static int cmp(const void *a, const void *b) { return *(int*)a - *(int*)b; } int main(void) { int v[8]; "
            "for (int i = 0; i < 8; i++) v[i] = rand() % 100; qsort(v, 8, sizeof(int), cmp); }"
        ),
        "names": (
            "Anna Berger, Tom O'Neil, Priya Raman, Luca Bianchi, Jan Kowalski, Mei Chen, Oluwaseun Adeyemi, "
            "Sofia Lind, Pedro Alvarez, Yuki Tanaka, Ivan Petrov, Fatima Zahra, Nils Holm, Chloe Martin"
        ),
    }


@pytest.mark.parametrize("code", TEXTS)
def test_scripts_are_named_where_they_are_not_the_usual_one(code):
    found = language_of(TEXTS[code])
    assert found.code == code and found.score > 0.5 and not differs(code, found.second)


@pytest.mark.parametrize("text", [*FOREIGN.values(), *junk().values()], ids=[*FOREIGN, *junk()])
def test_what_is_in_no_known_language_is_not_accepted(text):
    assert language_of(text).code in NO_LANGUAGE


def test_latin_prose_is_not_filler():
    text = "Ecclesia in extremo vico stat et anno superiore novum tectum accepit. Pueri per pontem ad ludum eunt, post "
    assert language_of(text + "meridiem parentibus in agris auxilium ferunt, quia frumentum maturum est.").code == "la"


def test_pages_of_two_scripts_or_with_commands_are_in_the_language_of_their_sentences():
    page = "".join(
        f"{TEXTS['zh']}\nreact-dom/server renderToPipeableStream hydrateRoot(domNode, options)\n" for _ in "123"
    )
    assert language_of(page).code == "zh"
    listing = (
        "100644 blob fa49b077972391ad58037050f2a75f74e3671e92 new.txt\n"
        "040000 tree 83baae61804e65cc73a7201a7252750c76066a30 old\n"
    )
    assert language_of((TEXTS["en"] + "\n" + listing * 2) * 3).code == "en"


def test_composed_and_decomposed_letters_are_the_same_language():
    text = "Nhà thờ nằm ở cuối làng và năm ngoái được lợp mái mới. Trẻ con đi qua cầu để đến trường mỗi buổi sáng."
    assert language_of(unicodedata.normalize("NFD", text)).code == language_of(text).code == "vi"


def test_near_languages_and_those_that_the_second_does_not_know_are_no_contradiction():
    assert not differs("hr", "sr") and not differs("sr-Latn", "hr")
    assert not differs("id", "ms") and not differs("zu", "und")
    assert differs("cs", "sk") and differs("uz-Cyrl", "tg") and not differs("uz-Cyrl", "uz")


def test_the_misfit_of_a_text_does_not_grow_with_its_length():
    one, ten = (language_models.features((TEXTS["en"] * times).encode()) for times in (1, 10))
    english = language_models.first().codes.index("en")
    assert language_models.misfit(one, english)[0] == pytest.approx(language_models.misfit(ten, english)[0], abs=0.05)


def test_languages_of_a_recipe_in_any_script_or_in_one():
    found = np.array(["sr", "sr-Latn", "en", "zh-Hant"], object)
    assert wanted(found, ("sr", "zh")).tolist() == [True, True, False, True]
    assert wanted(found, ("sr-Latn",)).tolist() == [False, True, False, False]
    columns = {"language": np.array(["und", "zxx", "en"], object)}
    assert unknown(columns, 0.5).tolist() == [True, True, False] and not unknown(columns, 0.0).any()


def test_function_words_are_those_of_the_language_in_any_script():
    assert statistics(TEXTS["sr-Latn"], "sr-Latn")["stop_words"] >= 3
    assert statistics(TEXTS["zh-Hant"], "zh-Hant")["stop_words"] >= 2


def test_tags():
    assert len(LANGUAGES) > 135 and primary("sr-Latn") == "sr" == primary("sr")
    assert declared_language("docs/sr-Latn/intro.md", "") == "sr" and declared_language("as/an/a.txt", "") == ""


def test_shares_of_scripts():
    shares = script_shares(code_points("東京 Tokyo"))
    assert shares == {"Hani": pytest.approx(6 / 11), "Latn": pytest.approx(5 / 11)}
    assert set(script_shares(code_points("東京へ行く"))) == {"Jpan"} and script_shares(code_points("12 × 3")) == {}
