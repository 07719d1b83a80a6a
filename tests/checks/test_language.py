"""The language of a draft, detected by letters and words, and the message to the model about a wrong one."""

from __future__ import annotations

import pytest
from contentq.checks import Language
from contentq.checks.language import language_of
from contentq.checks.stop_words import NAMES

from tests.checks.conftest import problem

TEXTS = {
    "en": (
        "The harbour was quiet in the morning, and most of the boats had not yet left. A few fishermen "
        "were mending their nets, while the smell of coffee came from the only bar that was open at this"
        " time of the day."
    ),
    "de": (
        "Der Hafen war am Morgen ruhig, und die meisten Boote waren noch nicht ausgelaufen. Einige "
        "Fischer flickten ihre Netze, während der Duft von Kaffee aus der einzigen Bar kam, die um diese"
        " Zeit schon geöffnet war."
    ),
    "fr": (
        "Le port était calme ce matin, et la plupart des bateaux n'étaient pas encore partis. Quelques "
        "pêcheurs réparaient leurs filets, tandis que l'odeur du café venait du seul bar qui était "
        "ouvert à cette heure de la journée."
    ),
    "es": (
        "El puerto estaba tranquilo por la mañana y la mayoría de los barcos aún no habían salido. "
        "Algunos pescadores reparaban sus redes, mientras el olor del café llegaba del único bar que "
        "estaba abierto a esa hora del día."
    ),
    "it": (
        "Il porto era tranquillo al mattino e la maggior parte delle barche non era ancora partita. "
        "Alcuni pescatori riparavano le loro reti, mentre l'odore del caffè arrivava dall'unico bar che "
        "era aperto a quell'ora del giorno."
    ),
    "pt": (
        "O porto estava calmo de manhã e a maior parte dos barcos ainda não tinha saído. Alguns "
        "pescadores remendavam as suas redes, enquanto o cheiro do café vinha do único bar que estava "
        "aberto a essa hora do dia."
    ),
    "nl": (
        "De haven was rustig in de ochtend en de meeste boten waren nog niet vertrokken. Enkele vissers "
        "waren hun netten aan het herstellen, terwijl de geur van koffie uit de enige bar kwam die op "
        "dit uur van de dag open was."
    ),
    "sv": (
        "Hamnen var lugn på morgonen och de flesta båtarna hade ännu inte gett sig av. Några fiskare "
        "lagade sina nät, medan doften av kaffe kom från den enda baren som var öppen vid den här tiden "
        "på dagen."
    ),
    "da": (
        "Havnen var stille om morgenen, og de fleste både var endnu ikke sejlet ud. Nogle fiskere "
        "reparerede deres net, mens duften af kaffe kom fra den eneste bar, der var åben på dette "
        "tidspunkt af dagen, og som man kunne gå ind i efter arbejdet."
    ),
    "no": (
        "Havnen var stille om morgenen, og de fleste båtene hadde ennå ikke dratt ut. Noen fiskere "
        "reparerte garnene sine, mens duften av kaffe kom fra den eneste baren som var åpen på denne "
        "tiden av dagen, og som man kunne gå inn i etter arbeidet."
    ),
    "fi": (
        "Satama oli aamulla hiljainen, ja useimmat veneet eivät olleet vielä lähteneet. Muutamat "
        "kalastajat korjasivat verkkojaan, kun kahvin tuoksu tuli ainoasta baarista, joka oli auki "
        "siihen aikaan päivästä, ja he olivat siellä myös illalla, mutta vain kun se oli avoinna."
    ),
    "pl": (
        "Port był rano spokojny i większość łodzi jeszcze nie wypłynęła. Kilku rybaków naprawiało swoje "
        "sieci, a zapach kawy dochodził z jedynego baru, który był otwarty o tej porze dnia, i to nie "
        "tylko dla tych, którzy pracują na morzu."
    ),
    "cs": (
        "Přístav byl ráno klidný a většina lodí ještě nevyplula. Několik rybářů opravovalo své sítě, "
        "zatímco vůně kávy přicházela z jediného baru, který byl v tuto denní dobu otevřený, a to nejen "
        "pro ty, kteří pracují na moři."
    ),
    "hu": (
        "A kikötő reggel csendes volt, és a legtöbb hajó még nem indult el. Néhány halász a hálóit "
        "javította, miközben a kávé illata az egyetlen bárból jött, amely ebben az órában már nyitva "
        "volt, és ahol nem csak a halászok ültek."
    ),
    "ro": (
        "Portul era liniștit dimineața și cele mai multe bărci nu plecaseră încă. Câțiva pescari își "
        "reparau plasele, în timp ce mirosul de cafea venea din singurul bar care era deschis la această"
        " oră a zilei, și nu doar pentru cei care lucrează pe mare."
    ),
    "tr": (
        "Liman sabah sakindi ve teknelerin çoğu henüz ayrılmamıştı. Birkaç balıkçı ağlarını onarıyordu "
        "ve kahve kokusu günün bu saatinde açık olan tek bardan geliyordu, ama bu yer sadece balıkçılar "
        "için değil, herkes için çok önemli bir yerdi."
    ),
    "id": (
        "Pelabuhan itu tenang di pagi hari dan sebagian besar perahu belum berangkat. Beberapa nelayan "
        "memperbaiki jaring mereka, sementara aroma kopi datang dari satu-satunya kedai yang buka pada "
        "jam itu, dan tidak hanya untuk orang yang bekerja di laut."
    ),
    "vi": (
        "Bến cảng yên tĩnh vào buổi sáng và hầu hết các con thuyền vẫn chưa rời đi. Một vài ngư dân đang"
        " vá lưới của họ, trong khi mùi cà phê bay đến từ quán duy nhất đã mở cửa vào giờ đó trong ngày."
    ),
    "ru": (
        "Утром в порту было тихо, и большинство лодок ещё не ушло. Несколько рыбаков чинили свои сети, а"
        " запах кофе шёл из единственного бара, который был открыт в это время дня, и не только для тех,"
        " кто работает на море."
    ),
    "uk": (
        "Вранці в порту було тихо, і більшість човнів ще не відпливла. Кілька рибалок лагодили свої "
        "сіті, а запах кави йшов з єдиного бару, який був відкритий у цей час дня, і не тільки для тих, "
        "хто працює на морі."
    ),
    "bg": (
        "Сутринта пристанището беше тихо и повечето лодки още не бяха тръгнали. Няколко рибари кърпеха "
        "мрежите си, а миризмата на кафе идваше от единствения бар, който беше отворен по това време на "
        "деня, и то не само за тези, които работят в морето."
    ),
    "el": "Το λιμάνι ήταν ήσυχο το πρωί και τα περισσότερα σκάφη δεν είχαν φύγει ακόμη.",
    "ar": (
        "كان الميناء هادئا في الصباح، ولم تكن معظم القوارب قد غادرت بعد. كان بعض الصيادين يصلحون شباكهم،"
        " بينما كانت رائحة القهوة تأتي من المقهى الوحيد الذي كان مفتوحا في هذا الوقت من اليوم."
    ),
    "fa": (
        "بندر در صبح آرام بود و بیشتر قایق ها هنوز نرفته بودند. چند ماهیگیر تورهای خود را تعمیر می کردند"
        " و بوی قهوه از تنها کافه ای که در این ساعت از روز باز بود می آمد و این برای همه است."
    ),
    "he": "הנמל היה שקט בבוקר, ורוב הסירות עדיין לא יצאו לדרך.",
    "hi": "बंदरगाह सुबह शांत था और ज़्यादातर नावें अभी तक नहीं निकली थीं।",
    "th": "ท่าเรือเงียบสงบในตอนเช้าและเรือส่วนใหญ่ยังไม่ได้ออก",
    "ko": "항구는 아침에 조용했고 대부분의 배는 아직 떠나지 않았다. 몇몇 어부들이 그물을 고치고 있었다.",
    "ja": "港は朝静かで、ほとんどの船はまだ出ていなかった。何人かの漁師が網を直していた。",
    "zh": "港口早晨很安静，大多数船只还没有出海。几个渔民正在修补渔网，咖啡的香味从唯一一家开着的酒吧里飘出来。",
}
"""The same few sentences in each language."""


def test_each_language_has_a_text() -> None:
    assert TEXTS.keys() == NAMES.keys()


@pytest.mark.parametrize("code", TEXTS)
def test_language_is_told(code: str) -> None:
    assert language_of(TEXTS[code]) == code
    assert problem(Language(code), TEXTS[code]) is None


@pytest.mark.parametrize("code", TEXTS)
def test_text_in_one_language_is_in_no_other(code: str) -> None:
    passed = [other for other in TEXTS if other != code and language_of(TEXTS[code], other) == other]

    assert passed == []


def test_model_is_told_both_languages() -> None:
    assert problem(Language("de"), TEXTS["en"]) == "it is in English; write it in German"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "OK",
        "Pad Thai",
        "https://example.com/" + "the-and-of/" * 50,
        "1234 5678 " * 50,
        "```\n```",
        "xyz " * 100,
    ],
)
def test_what_cannot_be_told_passes(body: str) -> None:
    assert problem(Language("de"), body) is None


def test_most_of_a_text_decides() -> None:
    assert problem(Language("de"), f"{TEXTS['de']}\n\n> {TEXTS['en'][:100]}") is None
    assert problem(Language("de"), f"{TEXTS['en']} {TEXTS['en']} {TEXTS['de'][:60]}") is not None
    assert problem(Language("zh"), f"# PostgreSQL\n\n{TEXTS['zh']} SELECT * FROM queue") is None


@pytest.mark.parametrize(("code", "told"), [("pt-BR", "pt"), ("zh_CN", "zh"), ("EN", "en"), ("nb", "no")])
def test_region_is_ignored(code: str, told: str) -> None:
    assert problem(Language(code), TEXTS[told]) is None


@pytest.mark.parametrize("code", ["", "xx", "German"])
def test_language_that_cannot_be_told_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="must be one of: ar, bg, cs"):
        Language(code)
