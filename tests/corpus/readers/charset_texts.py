"""Paragraphs in many languages, written for these tests, and the character sets in which such text is found."""

TEXTS = {
    "sv": "På våren blir kvällarna längre och människorna i den lilla staden går gärna ut på en promenad "
    "längs ån. Där möts unga och gamla, och någon säljer kaffe och färska bullar från en vagn. Också "
    "fåglarna har återvänt, och på ängarna växer redan de första blommorna. Så här års är allting "
    "möjligt, säger min granne och ler.",
    "da": "Om foråret bliver aftenerne længere, og folk i den lille by går gerne en tur langs åen. Der mødes "
    "både unge og gamle, og nogen sælger kaffe og friske brød fra en vogn. Også fuglene er vendt "
    "tilbage, og på engene vokser de første blomster. På denne årstid er alting muligt, siger min nabo "
    "og smiler, før hun går hjem.",
    "no": "Om våren blir kveldene lengre, og folk i den lille byen går gjerne en tur langs elva. Der møtes "
    "både unge og gamle, og noen selger kaffe og ferske boller fra en vogn. Også fuglene har kommet "
    "tilbake, og på engene vokser de første blomstene. På denne årstiden er allting mulig, sier naboen "
    "min og smiler før hun går hjem igjen.",
    "fi": "Keväällä illat pitenevät ja pienen kaupungin asukkaat lähtevät mielellään kävelylle joen rantaan. "
    "Siellä tapaavat nuoret ja vanhat, ja joku myy kahvia ja tuoreita pullia kärrystä. Myös linnut "
    "ovat palanneet, ja niityillä kasvavat jo ensimmäiset kukat. Tähän vuodenaikaan kaikki on "
    "mahdollista, sanoo naapurini hymyillen.",
    "is": "Á vorin lengjast kvöldin og fólkið í litla bænum fer gjarnan í gönguferð meðfram ánni. Þar "
    "hittast ungir og gamlir og einhver selur kaffi og nýbakað brauð úr vagni. Fuglarnir hafa líka "
    "snúið aftur og á engjunum vaxa nú þegar fyrstu blómin. Á þessum árstíma er allt mögulegt, segir "
    "nágranni minn og brosir um leið.",
    "de": "Im Frühling werden die Abende länger, und die Leute der kleinen Stadt gehen gern am Fluß "
    "spazieren. Dort treffen sich Junge und Alte, und jemand verkauft Kaffee und frische Brötchen aus "
    "einem Wagen. Auch die Vögel sind zurück, und auf den Wiesen blühen schon die ersten Blumen. Alles "
    "ist möglich, sagt meine Nachbarin.",
    "fr": "Au printemps, les soirées s'allongent et les habitants de la petite ville aiment se promener près "
    "de la rivière. On y voit des jeunes et des âgés, et quelqu'un vend du café et des brioches "
    "fraîches. Les oiseaux sont revenus, eux aussi, et les premières fleurs poussent déjà. Où que l'on "
    "aille, tout paraît léger et ça plaît.",
    "es": "En primavera las tardes se hacen más largas y la gente de la pequeña ciudad sale a pasear junto "
    "al río. Allí se encuentran jóvenes y mayores, y alguien vende café y bollos recién hechos. "
    "También los pájaros han vuelto y ya crecen las primeras flores. ¿Quién sabe qué pasará mañana? "
    "Todo es posible, dice mi vecina con una sonrisa.",
    "pt": "Na primavera as tardes ficam mais longas e as pessoas da pequena cidade gostam de passear à beira "
    "do rio. Ali encontram-se jovens e velhos, e alguém vende café e pães frescos. Também os pássaros "
    "já voltaram e crescem as primeiras flores. Nesta estação tudo é possível, diz a minha vizinha, e "
    "não há razão para não acreditar.",
    "it": "In primavera le sere si allungano e la gente della piccola città va volentieri a passeggio lungo "
    "il fiume. Lì si incontrano giovani e vecchi, e c'è chi vende caffè e panini freschi. Anche gli "
    "uccelli sono tornati, e nei prati crescono già i primi fiori. Perché no, dice la mia vicina: così "
    "è più facile, e tutto può succedere.",
    "nl": "In de lente worden de avonden langer en gaan de mensen van het stadje graag wandelen langs de "
    "rivier. Daar ontmoeten jong en oud elkaar, en één van hen verkoopt koffie in het café. Ook de "
    "vogels zijn terug uit Italië, en de eerste bloemen zijn geïmporteerd. Alles is mogelijk, zegt "
    "mijn buurvrouw uit België, coördinator van beroep.",
    "en": "In spring the evenings grow longer, and people in the little town like to walk along the river. "
    "\u201cAnything can happen now,\u201d says my neighbour \u2013 and she doesn\u2019t mean "
    "the weather. The caf\xe9 by the "
    "bridge has opened again; a cup costs \xa32, which isn\u2019t much. The birds are back, too, and the first "
    "flowers are out.",
    "pl": "Wiosną wieczory stają się dłuższe, a mieszkańcy małego miasta chętnie spacerują wzdłuż rzeki. "
    "Spotykają się tam młodzi i starzy, a ktoś sprzedaje kawę i świeże bułki z wózka. Ptaki też już "
    "wróciły, a na łąkach rosną pierwsze kwiaty. O tej porze roku wszystko jest możliwe, mówi moja "
    "sąsiadka z uśmiechem i idzie do domu.",
    "cs": "Na jaře se večery prodlužují a lidé z malého města rádi chodí na procházku podél řeky. Setkávají "
    "se tam mladí i staří a někdo prodává kávu a čerstvé housky z vozíku. Také ptáci se už vrátili a "
    "na loukách rostou první květiny. V tomto ročním období je všechno možné, říká moje sousedka s "
    "úsměvem a jde domů.",
    "sk": "Na jar sa večery predlžujú a ľudia z malého mesta radi chodia na prechádzku popri rieke. "
    "Stretávajú sa tam mladí aj starí a niekto predáva kávu a čerstvé rožky z vozíka. Aj vtáky sa už "
    "vrátili a na lúkach rastú prvé kvety. V tomto ročnom období je všetko možné, hovorí moja suseda s "
    "úsmevom a ide domov.",
    "hu": "Tavasszal hosszabbodnak az esték, és a kisváros lakói szívesen sétálnak a folyó mentén. Ott "
    "találkoznak a fiatalok és az öregek, és valaki kávét meg friss süteményt árul egy kocsiból. A "
    "madarak is visszatértek, és a réteken már nőnek az első virágok. Ilyenkor minden lehetséges, "
    "mondja a szomszédnőm, és derűsen hazamegy.",
    "hr": "U proljeće večeri postaju duže i ljudi iz maloga grada rado šeću uz rijeku. Ondje se sreću mladi "
    "i stari, a netko prodaje kavu i svježe kiflice iz kolica. I ptice su se već vratile, a na "
    "livadama rastu prvi cvjetovi. U ovo doba godine sve je moguće, kaže moja susjeda kroz smijeh, pa "
    "čak i ono što još nitko nije vidio.",
    "sl": "Spomladi postajajo večeri daljši in ljudje iz majhnega mesta se radi sprehajajo ob reki. Tam se "
    "srečujejo mladi in stari, nekdo pa prodaja kavo in sveže žemlje iz vozička. Tudi ptice so se že "
    "vrnile in na travnikih rastejo prve rože. V tem letnem času je vse mogoče, pravi moja soseda z "
    "nasmehom in odide še po kruh.",
    "ro": "Primăvara serile se lungesc, iar oamenii din micul oraş ies cu plăcere la plimbare pe malul "
    "râului. Acolo se întâlnesc tineri şi bătrâni, iar cineva vinde cafea şi chifle proaspete. Şi "
    "păsările s-au întors, iar pe pajişti cresc deja primele flori. În acest anotimp totul este "
    "posibil, spune vecina mea zâmbind, şi pleacă spre casă.",
    "et": "Kevadel lähevad õhtud pikemaks ja väikese linna inimesed käivad hea meelega jõe ääres jalutamas. "
    "Seal kohtuvad noored ja vanad ning keegi müüb kärust kohvi ja värskeid saiakesi. Ka linnud on "
    "tagasi tulnud ja niitudel kasvavad juba esimesed õied. Sel aastaajal on kõik võimalik, ütleb mu "
    "naaber naeratades.",
    "lv": "Pavasarī vakari kļūst garāki, un mazās pilsētas ļaudis labprāt pastaigājas gar upi. Tur satiekas "
    "jauni un veci, un kāds no ratiņiem pārdod kafiju un svaigas maizītes. Arī putni jau ir "
    "atgriezušies, un pļavās zied pirmās puķes. Šajā gadalaikā viss ir iespējams, smaidot saka mana "
    "kaimiņiene un dodas mājās.",
    "lt": "Pavasarį vakarai ilgėja, ir mažo miestelio žmonės mielai vaikštinėja palei upę. Ten susitinka "
    "jauni ir seni, o kažkas iš vežimėlio pardavinėja kavą ir šviežias bandeles. Paukščiai taip pat "
    "jau sugrįžo, o pievose auga pirmosios gėlės. Šiuo metų laiku viskas įmanoma, šypsodamasi sako "
    "mano kaimynė ir eina namo.",
    "tr": "İlkbaharda akşamlar uzar ve küçük şehrin insanları ırmak boyunca yürümeyi çok sever. Orada "
    "gençler ve yaşlılar buluşur, birisi de arabasından kahve ve taze çörek satar. Kuşlar da geri "
    "döndü, çayırlarda ilk çiçekler açıyor. Bu mevsimde her şey mümkün, diyor komşum gülümseyerek ve "
    "yavaş yavaş evine doğru gidiyor.",
    "el": "Την άνοιξη τα βράδια μεγαλώνουν και οι κάτοικοι της μικρής πόλης κάνουν περίπατο δίπλα στο "
    "ποτάμι. Εκεί συναντιούνται νέοι και γέροι, και κάποιος πουλάει καφέ και φρέσκα κουλούρια. Και τα "
    "πουλιά έχουν γυρίσει, και στα λιβάδια φυτρώνουν ήδη τα πρώτα λουλούδια. Όλα είναι δυνατά, λέει η "
    "γειτόνισσά μου χαμογελώντας.",
    "ru": "Весной вечера становятся длиннее, и жители маленького города охотно гуляют вдоль реки. Там "
    "встречаются молодые и старые, и кто-то продаёт кофе и свежие булочки с тележки. Птицы тоже "
    "вернулись, и на лугах уже растут первые цветы. В это время года всё возможно, говорит моя соседка "
    "с улыбкой и идёт домой.",
    "uk": "Навесні вечори стають довшими, і мешканці маленького міста залюбки гуляють уздовж річки. Там "
    "зустрічаються молоді й старі, і хтось продає каву та свіжі булочки з візка. Птахи теж "
    "повернулися, і на луках уже ростуть перші квіти. У цю пору року все можливо, каже моя сусідка з "
    "усмішкою і йде додому, бо її чекає сім'я.",
    "bg": "През пролетта вечерите стават по-дълги и хората от малкия град с удоволствие се разхождат край "
    "реката. Там се срещат млади и стари, а някой продава кафе и пресни кифли от количка. Птиците също "
    "се върнаха и по ливадите вече растат първите цветя. По това време на годината всичко е възможно, "
    "казва съседката ми с усмивка.",
    "sr": "У пролеће вечери постају дуже и људи из малог града радо шетају поред реке. Тамо се срећу млади и "
    "стари, а неко продаје кафу и свеже кифле из колица. И птице су се већ вратиле, а на ливадама "
    "расту први цветови. У ово доба године све је могуће, каже моја комшиница кроз смех и полако "
    "одлази кући.",
    "he": "באביב הערבים מתארכים ותושבי העיר הקטנה אוהבים לטייל לאורך הנהר. שם נפגשים צעירים וזקנים, ומישהו "
    "מוכר קפה ולחמניות טריות מתוך עגלה. גם הציפורים חזרו, ובאחו כבר צומחים הפרחים הראשונים. בעונה הזאת "
    "הכול אפשרי, אומרת השכנה שלי בחיוך והולכת הביתה.",
    "ar": "في الربيع تطول الأمسيات ويحب سكان المدينة الصغيرة أن يتنزهوا على ضفة النهر. هناك يلتقي الشباب "
    "والشيوخ، ويبيع أحدهم القهوة والخبز الطازج من عربة صغيرة. وقد عادت الطيور أيضا، وبدأت الأزهار "
    "الأولى تنمو في المروج. كل شيء ممكن في هذا الفصل من السنة، كما تقول جارتي وهي تبتسم ثم تعود إلى "
    "بيتها.",
    "fa": "در بهار شب ها کوتاه تر مي شود و مردم شهر کوچک دوست دارند کنار رودخانه قدم بزنند. آنجا پير و جوان "
    "همديگر را مي بينند و کسي قهوه و نان تازه مي فروشد. پرنده ها هم برگشته اند و در چمنزار نخستين گل "
    "ها روييده اند. همسايه ام مي گويد در اين فصل سال همه چيز ممکن است و با لبخند به خانه اش مي رود.",
    "th": "ในฤดูใบไม้ผลิ ตอนเย็นจะยาวนานขึ้น และชาวเมืองเล็กแห่งนี้ชอบเดินเล่นริมแม่น้ำ ที่นั่นคนหนุ่มสาวและค"
    "นชราได้พบกัน มีคนขายกาแฟและขนมปังสดใหม่จากรถเข็น นกก็กลับมาแล้วเช่นกัน และดอกไม้แรกเริ่มบานในทุ่งห"
    "ญ้า เพื่อนบ้านของฉันพูดพร้อมรอยยิ้มว่าในฤดูนี้ทุกอย่างเป็นไปได้",
    "ja": "春になると夕方が長くなり、小さな町の人々は川沿いを散歩するのが好きです。そこでは若い人も年寄りも出"
    "会い、誰かが屋台でコーヒーと焼きたてのパンを売っています。鳥たちも戻ってきて、草原ではもう最初の花"
    "が咲いています。この季節には何でもできる、と隣の人は笑いながら言って、家に帰ります。",
    "ko": "봄이 되면 저녁이 길어지고 작은 도시의 사람들은 강을 따라 산책하는 것을 좋아합니다. 그곳에서는 "
    "젊은이와 노인이 만나고, 누군가는 수레에서 커피와 갓 구운 빵을 팝니다. 새들도 돌아왔고 들판에는 "
    "벌써 첫 꽃이 피었습니다. 이 계절에는 무엇이든 할 수 있다고 이웃이 웃으며 말하고 집으로 갑니다.",
    "zh": "到了春天，傍晚变得越来越长，小城里的人们喜欢沿着河边散步。年轻人和老人在那里见面，有人推着车卖咖啡"
    "和新鲜的面包。鸟儿也回来了，草地上已经开出了第一批花。在这个季节里，一切都是可能的，我的邻居笑着说"
    "，然后慢慢走回家去。",
    "zh-tw": "到了春天，傍晚變得越來越長，小城裡的人們喜歡沿著河邊散步。年輕人和老人在那裡見面，有人推著車賣咖啡"
    "和新鮮的麵包。鳥兒也回來了，草地上已經開出了第一批花。在這個季節裡，一切都是可能的，我的鄰居笑著說"
    "，然後慢慢走回家去。",
}

WEST = ("cp1252", "iso8859-1", "iso8859-15", "mac-roman", "cp850")
CENTRAL = ("cp1250", "iso8859-2", "cp852")
CYRILLIC = ("cp1251", "iso8859-5")

CHARSETS = {
    **dict.fromkeys(("sv", "da", "no", "fi", "de", "fr", "es", "pt", "it", "nl"), WEST),
    "is": ("cp1252", "iso8859-1"),
    "en": ("cp1252", "mac-roman"),
    **dict.fromkeys(("pl", "cs", "sk", "hu", "hr", "sl"), CENTRAL),
    "ro": ("cp1250", "iso8859-2"),
    "et": ("cp1257", "cp1252", "iso8859-13", "iso8859-4"),
    **dict.fromkeys(("lv", "lt"), ("cp1257", "iso8859-13", "iso8859-4")),
    "tr": ("cp1254", "iso8859-9"),
    "el": ("cp1253", "iso8859-7"),
    "ru": ("cp1251", "iso8859-5", "koi8-r", "cp866", "mac-cyrillic"),
    "uk": ("cp1251", "iso8859-5", "koi8-u"),
    "bg": CYRILLIC,
    "sr": CYRILLIC,
    "he": ("cp1255", "iso8859-8"),
    "ar": ("cp1256", "iso8859-6"),
    "fa": ("cp1256",),
    "th": ("cp874",),
    "ja": ("cp932", "euc_jp", "iso2022_jp"),
    "ko": ("cp949", "iso2022_kr"),
    "zh": ("gb18030", "gb2312"),
    "zh-tw": ("big5", "gb18030"),
}
"""Python codecs. cp1258 (Vietnamese) is not among them: hardly any text was ever written in it."""

WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
