"""The most frequent words of each language; languages share few of them."""

from __future__ import annotations

NAMES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""The languages that can be distinguished, by their ISO 639-1 codes."""

LATIN = {
    "cs": (
        "a aby ale ani až bez bude by byl byla bylo být co do i jak jako je jeho její jejich jen ještě již "
        "jsem jsou k kde když která které který ke mezi může na nad nebo není o od po pod podle pokud pouze "
        "pro proto protože před při s se si své tak také tato tento těchto to u už v ve více však z za že"
    ),
    "da": (
        "af alle at blev bliver da de dem den der deres det dette din du efter eller en end er et for fordi "
        "fra før gennem ham han har havde hvad hvis hvor hvordan i ikke ind kan kun kunne man med mellem "
        "men mere mest meget når nogle og også om op os over på sig sin skal som så til ud uden under var "
        "ved vil være været"
    ),
    "de": (
        "aber als am an auch auf aus bei bis das dass dem den der des die diese dieser durch ein eine einem "
        "einen einer es für haben hat ich ihre im in ist kann mehr mit nach nicht noch nur oder sein sich "
        "sie sind so über um und unter vom von vor war was wenn werden wie wir wird wurde zu zum zur "
        "zwischen"
    ),
    "en": (
        "a about after all also an and any are as at be because been before but by can could each for from "
        "had has have how if in into is it its just like many may more most no not of on one only or other "
        "our out over so some such than that the their them then there these they this through to up was we "
        "were what when which while who will with would you your"
    ),
    "es": (
        "a al algo algunos antes así aunque cada como con cual cuando de del desde donde dos durante e el "
        "ella ellos en entre era es esta este esto está están fue ha hacia han hasta hay la las le les lo "
        "los más mientras muy ni no nos o otra otro para pero poco por porque puede pueden que qué se según "
        "ser si sin sino sobre son su sus también tan tiene todo todos un una uno y ya"
    ),
    "fi": (
        "että ei eivät he hän ja jo joka jos jotka kanssa kuin kun kuten me mikä minä mukaan mutta myös ne "
        "niin niiden nyt oli olla olivat on ovat saa se sekä sen siitä sitä tai tämä tämän vain voi voidaan "
        "vuoden yli"
    ),
    "fr": (
        "à ainsi après au aussi autre aux avant avec bien car ce ces cette ceux chaque chez comme dans de "
        "des deux dont du elle elles en encore entre est et être eu faire fait il ils la le les leur leurs "
        "lui mais même moins ne non nos notre nous on ont ou où par pas peut peuvent plus pour qu quand que "
        "qui sa sans se selon ses si son sont sous sur tous tout toute très un une vers vous"
    ),
    "hu": (
        "a az és hogy nem is egy ez azt csak de mint már még meg van volt vagy ha el ki mert több minden "
        "olyan között után lehet amely akkor így úgy pedig nagy ezt majd lesz sem aki ami ezek azok nagyon "
        "szerint alatt által"
    ),
    "id": (
        "ada adalah agar akan antara apa atau bagi bahwa banyak beberapa belum bisa bukan dalam dan dapat "
        "dari dengan di hanya harus hingga ia ini itu jika juga kami karena ke kepada ketika kita lebih "
        "maka melalui mereka namun oleh pada para saat sangat saya sebagai sebuah secara seperti serta "
        "setelah setiap sudah telah tersebut tidak untuk yang"
    ),
    "it": (
        "a ad ai al alla alle anche ancora anni avere c che chi ci come con cosa cui da dal dalla dei del "
        "della delle di dopo dove due e ed era essere gli ha hanno i il in io la le lo loro ma molto ne nei "
        "nel nella no non o ogni perché per più poi prima può quando quanto quella quello questa questo se "
        "sempre senza si sia solo sono stato su sua sul sulla suo tra tutti tutto un una uno"
    ),
    "nl": (
        "aan al alle als altijd andere bij daar dan dat de deze die dit door dus een en er geen haar hebben "
        "heeft hem het hier hij hoe hun ik in is je kan kunnen maar meer men met mijn moet na naar niet nog "
        "nu of om omdat onder ons ook op over te tegen toch tot tussen uit van veel voor waar wat we welke "
        "werd wordt worden ze zich zijn zo zonder zou"
    ),
    "no": (
        "alle at av ble blir bli da de dem den denne der deres det dette du eller en enn er et etter for "
        "fordi fra før gjennom ham han har hadde hva hvis hvor hvordan i ikke inn jeg kan kun kunne man med "
        "mellom men mer mest mye når noen og også om opp oss over på seg sin skal som så til ut uten under "
        "var ved vil være vært"
    ),
    "pl": (
        "a aby ale albo bardzo bez być był była było by co czy dla do gdy gdzie go i ich im ja jak jako "
        "jego jej jest jeszcze jeśli już każdy kiedy która które który ma mają może można na nad nawet nie "
        "niż o od oraz po pod ponieważ przed przez przy są się sobie swoje tak także też tego ten to tu tym "
        "tylko w we wszystkie więc z za ze że"
    ),
    "pt": (
        "a à às ao aos até as cada com como da das de dela dele depois do dos e é ela elas ele eles em "
        "entre era essa esse está estão eu foi foram há isso isto já lhe mais mas mesmo muito na não nas "
        "nem no nos nós o os ou para pela pelas pelo pelos pode podem por porque quando que quem se sem ser "
        "seu seus só sobre são sua suas também te tem têm um uma umas uns você"
    ),
    "ro": (
        "a acest această aceasta al ale am ar are au avea ca care ce cea cel cele cu când că cât dacă dar "
        "de decât din doar după ei ele este eu fi fie fiecare fost fără iar în între înainte la le li lor "
        "lui mai mult multe nu ori o pe pentru poate prin sau se și sunt să toate tot un unei unor unui va "
        "vor"
    ),
    "sv": (
        "alla att av bara blev bli blir de dem den denna deras dess det detta dig din du där då efter ej "
        "eller en er ett från för före genom ha hade han har hon hur i icke in inte jag kan kunde man med "
        "mellan men mer mot mycket måste ni nu när några och också om oss på sedan sig sin ska skulle som "
        "så till under upp ut utan vad var vara vi vid vilka vill är än åt över"
    ),
    "tr": (
        "ama ancak arasında bazı belki ben bir biri birçok bu bunu bunun çok çünkü da daha de değil diye en "
        "gibi göre hem her için ile ilgili ise kadar ki kendi mi mı nasıl ne neden o olan olarak oldu "
        "olduğu olduğunu olması onun sadece sonra şey şu tarafından tüm üzerinde var ve veya ya yani yok "
        "zaman"
    ),
    "vi": (
        "bạn bằng bị bởi cả các cách cái cần cho chỉ có còn cũng của cùng dù để đã đang đây đến điều đó "
        "được giữa hay hoặc hơn không khi khác là lại làm lên mà mình mỗi một năm này nên nếu người như "
        "nhưng những nhiều nhất phải qua ra rất sau sẽ số sự tại thể theo thì trên trong trước từ tuy và "
        "vẫn vào về vì với vừa"
    ),
}
"""For languages in Latin letters."""

CYRILLIC = {
    "bg": (
        "без беше бъде в във вече всички да до докато е за заедно защото и из или им има как какво като "
        "когато което които който ли ми може между много му на над не него нещо ни но няма обаче около "
        "освен от по под повече при през са само се си след със също така тези този това тук ще я"
    ),
    "ru": (
        "а без более был была были было быть в вам вас весь во вот все всё всех вы где да для до его если "
        "есть ещё еще же за и из или им их к как какой когда которая которые который кто ли между можно мы "
        "на над не него нет но о об однако он она они оно от очень по под после потому при с себя со так "
        "также такой там то только тоже у уже хотя чем через что чтобы это этого этой этот эти я"
    ),
    "uk": (
        "а або але без більш був була були було бути в ви від він вона вони все всі де для до його й з за "
        "зі із і її інших їх їхній коли який яка які яке як к між може можна ми на над не нього ні о об "
        "однак одна після під по при про проте та так також такий там те ти тільки то того тому у цей ця це "
        "ці через чи чого що щоб щодо я якщо"
    ),
}
"""For languages in Cyrillic letters."""

ARABIC = {
    "ar": (
        "أن أو إلى إن التي الذي الذين بعد بين تم ثم حتى حيث خلال ذلك على عن عند غير في قبل قد كان كانت كل "
        "كما لا لم لن ما مع من منذ هذا هذه هو هي وقد ولا وهو يتم يمكن"
    ),
    "fa": (
        "آن آنها از است اگر اما این با باید بر برای بسیار به بود تا تر توان خود در دارد دارند دیگر را زیر "
        "شد شده شما شود که ما می نیز نمی نیست هر ها های هستند هم همه و پس چه چون یا یک یکی"
    ),
}
"""For languages in Arabic letters."""
