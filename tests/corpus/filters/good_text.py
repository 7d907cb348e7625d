# ruff: noqa: E501
"""Good text that does not look like an article, by kind: no rule about lines and sentences may drop it."""

POETRY = {
    "en": """The lamp has burned the whole night long,
the rain has told the roof its song,
and no one came, and no one wrote,
and I have not put on my coat
to walk the hill and see the mill
where all the water stands so still.

I thought I heard you on the stair,
I thought I saw you in the chair,
but it was only what I knew
of all the things we did not do,
and of the road that would not bend
to bring you home before the end.""",
    "en free": """What the tide leaves
is not mine
and I do not want it:

a shoe, a length of rope,
the light of a ship
that is already behind the island

and in my hand
nothing but the hand
of the one who walked here
before I could ask
why she did not turn
when they called her name.""",
    "de": """Der Regen fällt, das Haus ist still,
ich weiß nicht, was er von mir will,
er klopft und klopft an meine Wand,
als hätte er mich lang gekannt.

Ich geh hinaus, ich geh zum Fluss,
weil ich ihm etwas sagen muss,
doch was ich sage, hört er nicht,
er hat kein Ohr und kein Gesicht,
und alles, was ich ihm erzähl,
trägt er hinunter bis zum Seel.""",
    "es": """La casa que no tiene puerta
se queda siempre bien abierta,
y el viento entra y se va,
y nadie sabe dónde está.

Yo te esperé junto al camino
con pan, con queso y con un vino,
pero la tarde se acabó
y el que venía no llegó,
y lo que queda de aquel día
es esta mesa tan vacía.""",
    "fr": """Le soir descend sur la maison,
il est trop tard pour la chanson,
et dans la cour où tu n'es pas
j'écoute encore un peu ton pas.

On m'a dit que tu reviendrais
quand le jardin refleurirait,
mais il y a déjà longtemps
que je n'attends plus le printemps,
et si la porte bat, la nuit,
ce n'est que le vent qui s'enfuit.""",
    "ru": """Над рекой стоит туман,
в нём и лодка, и обман,
и не видно, кто гребёт,
и не слышно, кто зовёт.

Я сказал тебе: постой,
ты ушла к себе домой,
и теперь я не пойму,
что я сделал и кому,
и зачем над этой водой
я хожу ещё живой.""",
}
DIALOGUE = {
    "en play": """ANNA: Is he still there?
TOM: He is.
ANNA: And what does he do?
TOM: Nothing. He looks at the door.
ANNA: Then he knows.
TOM: How could he know? I did not say a word.
ANNA: You never do.
TOM: That is not fair.
ANNA: No. It is not. But it is so.
TOM: Shall I let him in?
ANNA: Not yet. Let me get my coat.
TOM: Where will you go?
ANNA: Out at the back, as I always did.""",
    "en novel": """“You came back,” he said.

“I did.”

“Why?”

“I left my hat.”

“That is not why.”

“No,” she said. “It is not.”

He put the kettle on the stove and took two cups from the shelf.

“Will you stay?”

“Until it boils.”

“And then?”

“Then we shall see what there is to say.”""",
    "de interview": """Wie lange sind Sie schon hier?
Seit einem Jahr.
Und wie war es am Anfang?
Schwer. Ich kannte niemanden.
Was hat Ihnen geholfen?
Die Arbeit. Und dass es im Haus eine Frau gab, die jeden Abend gekocht hat.
Wollten Sie nie zurück?
Doch. Aber wohin?
Und heute?
Heute bin ich hier, und das ist gut so.""",
}
MATHEMATICS = {
    "en proof": r"""Lemma 3. Let $f$ be continuous on $[a, b]$ and let $f(a) < 0 < f(b)$. Then there is a $c$ with $f(c) = 0$.

Proof. Let $S = \{x \in [a, b] : f(x) \le 0\}$. Then $a \in S$, so $S$ is not empty, and $c = \sup S$ exists.

If $f(c) < 0$, then by continuity there is a $\delta > 0$ such that
$$f(x) < 0 \quad \text{for } |x - c| < \delta,$$
so that $c + \delta/2 \in S$, which is not possible.

If $f(c) > 0$, then there is a $\delta > 0$ such that
$$f(x) > 0 \quad \text{for } |x - c| < \delta,$$
and $c - \delta$ is a bound of $S$, which is not possible either.

Hence $f(c) = 0$. $\square$""",
    "en exercises": r"""1. Find all $x$ with $x^2 - 5x + 6 = 0$.
2. Show that $\sqrt{2}$ is not rational.
3. Let $a_1 = 1$ and $a_{n+1} = \frac{a_n}{2} + \frac{1}{a_n}$. Show that the sequence has a limit and find it.
4. For which $p$ does $\sum_{n=1}^{\infty} n^{-p}$ converge?
5. Let $A$ be a matrix with $A^2 = A$. What are the eigenvalues of $A$?
6. Find the area between $y = x^2$ and $y = x$.
7. Give an example of a function that is continuous at every point but has no derivative at one of them.""",
}
LAW = {
    "en": """§ 4 Duties of the tenant
(1) The tenant shall use the premises with due care.
(2) The tenant shall not, without the consent of the landlord,
(a) make any alteration to the premises;
(b) keep any animal other than small ones;
(c) let the premises or any part of them to another.
(3) Consent under subsection (2) may be withheld only for a reason that is stated in writing.
§ 5 Duties of the landlord
(1) The landlord shall keep the premises fit to live in.
(2) The landlord shall not enter the premises unless
(a) the tenant has been told at least two days before; or
(b) there is a danger that cannot wait.""",
}
LISTS = {
    "en recipe": """For four people you need
500 g of flour,
a pinch of salt,
two eggs and
a cup of milk.

Put the flour in a bowl and make a hole in the middle of it.
Break the eggs into the hole.
Add the salt and half of the milk.
Stir until there are no lumps left.
Add the rest of the milk and let it stand for an hour.
Heat a pan with a little butter in it.
Pour in just as much as covers the pan.
Turn it when it is dry on top.
Eat it while it is hot.""",
}
SMALL_LANGUAGES = {
    "cy": """Roedd hi'n bwrw glaw drwy'r nos ac yn y bore roedd yr afon wedi codi dros y bont. Doedd neb yn gallu mynd i'r
ysgol y diwrnod hwnnw. Arhosodd y plant gartref gyda'u mam ac roedden nhw'n hapus iawn am hynny. Yn y prynhawn daeth yr
haul allan ac aethon nhw i lawr i weld y dŵr.""",
    "eu": """Gau osoan euria egin zuen eta goizean ibaia zubiaren gainetik igaro zen. Egun hartan inork ezin izan zuen eskolara
joan. Haurrak etxean geratu ziren amarekin eta oso pozik zeuden. Arratsaldean eguzkia atera zen eta ura ikustera jaitsi
ziren denak elkarrekin.""",
    "is": """Það rigndi alla nóttina og um morguninn var áin komin yfir brúna. Enginn komst í skólann þann dag. Börnin voru heima
hjá mömmu sinni og voru mjög ánægð með það. Síðdegis kom sólin fram og þau fóru öll niður að ánni til að sjá vatnið og
hvað það hafði borið með sér.""",
    "sw": """Mvua ilinyesha usiku kucha na asubuhi mto ulikuwa umefurika juu ya daraja. Hakuna mtu aliyeweza kwenda shuleni siku
hiyo. Watoto walibaki nyumbani na mama yao na walifurahi sana kwa sababu hiyo. Mchana jua lilitoka na wote wakaenda chini
kuona maji na yale ambayo yaliletwa na mto.""",
}
GOOD = {
    f"{kind}, {name}": (name[:2], text)
    for kind, texts in (
        ("poetry", POETRY),
        ("dialogue", DIALOGUE),
        ("mathematics", MATHEMATICS),
        ("law", LAW),
        ("list", LISTS),
        ("small language", SMALL_LANGUAGES),
    )
    for name, text in texts.items()
}
"""Kind and name: language and text."""

JUNK = {
    "menu": (
        "en",
        "Home\nAbout us\nProducts\nServices\nNews\nCareers\nContact\nLogin\nRegister\nSearch\nShopping cart\nCheckout\n"
        "Help\nFAQ\nSitemap\nImprint\nTerms\nPrivacy\nCookies\nNewsletter\nFacebook\nTwitter\nYouTube\nInstagram\nRSS\n"
        "Back to top\nPrint\nShare\nEnglish\nDeutsch\n",
    ),
    "tags": (
        "en",
        "travel\nphotography\nbeach holidays\ncheap flights\ncity guides\nfood and drink\nhotel reviews\nbackpacking\n"
        "luxury resorts\nfamily trips\nroad trips\nwinter sports\nhiking trails\ncamping gear\ncruise deals\nlast minute\n"
        "travel insurance\nvisa service\ncar rental\nairport transfer\n",
    ),
    "prices": ("en", "\n".join(f"Cotton shirt size {at} blue\n{at + 3}.99 EUR\nAdd to cart" for at in range(30, 42))),
    "results": ("en", "\n".join(f"Rovers {at % 5}:{at % 3} Albion\nUnited {at % 4}:{at % 2} Town" for at in range(12))),
}
