"""What LaTeX's commands print, and how many arguments of them are no text."""


def _words(text: str) -> list[str]:
    return text.split()


LETTERS = {
    # letters
    "ss": "ß", "SS": "SS", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł",
    "aa": "å", "AA": "Å", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ",
    "ng": "ŋ", "NG": "Ŋ", "textordfeminine": "ª", "textordmasculine": "º", "textmu": "µ", "micro": "µ", "textohm": "Ω",
    # quotation marks and dashes
    "textquotedblleft": "“", "textquotedblright": "”", "textquoteleft": "‘", "textquoteright": "’", "lq": "‘",
    "rq": "’", "textquotesingle": "'", "textquotedbl": '"', "quotedblbase": "„", "quotesinglbase": "‚", "glqq": "„",
    "grqq": "“", "glq": "‚", "grq": "‘", "flqq": "«", "frqq": "»", "guillemotleft": "«", "guillemotright": "»",
    "guillemetleft": "«", "guillemetright": "»", "guilsinglleft": "‹", "guilsinglright": "›", "og": "« ", "fg": " »",
    "textendash": "–", "textemdash": "—", "textexclamdown": "¡", "textquestiondown": "¿", "textvisiblespace": "␣",
    # signs
    "S": "§", "P": "¶", "textsection": "§", "textparagraph": "¶", "dag": "†", "ddag": "‡", "textdagger": "†",
    "textdaggerdbl": "‡", "copyright": "©", "textcopyright": "©", "textregistered": "®", "texttrademark": "™",
    "pounds": "£", "textsterling": "£", "euro": "€", "texteuro": "€", "EUR": "€", "textyen": "¥", "textcent": "¢",
    "textdollar": "$", "textdegree": "°", "degree": "°", "textpm": "±", "texttimes": "×", "textdiv": "÷",
    "textbullet": "•", "textperiodcentered": "·", "textellipsis": "…", "ldots": "…", "dots": "…", "dotsc": "…",
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textbar": "|", "textbardbl": "‖",
    "textless": "<", "textgreater": ">", "textunderscore": "_", "textbraceleft": "{", "textbraceright": "}",
    "lbrack": "[", "rbrack": "]", "textasteriskcentered": "*", "textonehalf": "½", "textonequarter": "¼",
    "textthreequarters": "¾", "textonesuperior": "¹", "texttwosuperior": "²", "textthreesuperior": "³",
    "textnumero": "№", "textleftarrow": "←", "textrightarrow": "→", "checkmark": "✓", "slash": "/",
    "TeX": "TeX", "LaTeX": "LaTeX", "LaTeXe": "LaTeX2ε", "XeTeX": "XeTeX", "LuaTeX": "LuaTeX", "BibTeX": "BibTeX",
    "AmS": "AMS", "AmSTeX": "AMS-TeX",
    # spaces
    "quad": " ", "qquad": " ", "enspace": " ", "enskip": " ", "space": " ", "nobreakspace": " ", "hfill": " ",
    "hfil": " ", "thinspace": " ", "linebreak": " ", "newline": "\n", "par": "\n\n", "maketitle": "\n\n", "cr": "\n",
    "tabularnewline": "\n", "endgraf": "\n\n", "smallskip": "\n\n", "medskip": "\n\n", "bigskip": "\n\n",
    "newpage": "\n\n", "clearpage": "\n\n", "endproclaim": "\n\n", "enddemo": "\n\n", "endheading": "\n\n",
    "endsubheading": "\n\n", "endtitle": "\n\n", "endauthor": "\n\n", "endabstract": "\n\n", "endhead": "\n\n",
}  # fmt: skip

SYMBOLS = {
    "%": "%", "&": "&", "_": "_", "#": "#", "$": "$", "{": "{", "}": "}", "|": "‖", " ": " ", "\n": " ", "\t": " ",
    ",": " ", ";": " ", ":": " ", ">": " ",
}  # fmt: skip
"""A backslash and one character; those that are not here print nothing."""

ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331", "t": "\u0361", "textcommabelow": "\u0326", "textogonekcentered": "\u0328",
}  # fmt: skip
"""The combining mark that follows the letter."""

ALONE = {"`": "`", "'": "´", "^": "^", "~": "~", '"': "¨", "=": "¯"}
"""An accent over nothing, ``\\~{}``, as addresses and programs are written."""

WITHOUT_TEXT = {
    **dict.fromkeys(
        _words("""
        label ref eqref cref Cref autoref nameref pageref vref Vref index vspace hspace include usepackage
        RequirePackage documentclass documentstyle bibliography bibliographystyle addbibresource pagestyle
        thispagestyle pagenumbering includegraphics epsfig psfig epsffile includepdf hypersetup symlabel
        indexdef hypertarget textcolor color colorbox parbox raisebox footnotemark protect graphicspath
        geometry nocite input subfile foreignlanguage selectlanguage fontfamily fontseries fontshape usefont
        newcounter stepcounter refstepcounter value arabic roman Roman alph Alph thanksref tag todo
        PassOptionsToPackage usetikzlibrary tikzset pgfplotsset lstset mathsurround hyperlink href captionof
        cline cmidrule rowcolor columncolor cellcolor phantom hphantom vphantom bibitem externaldocument
        newif keywordsname theoremstyle bibinfo bibfield enlargethispage newsavebox savebox usebox
        lstinputlisting verbatiminput hyphenation newgeometry pagecolor bookmarksetup pdfinfo
        captionsetup floatsetup sisetup setlist setstretch linespread subfileinclude
    """),
        1,
    ),
    **dict.fromkeys(
        _words("""
        setcounter addtocounter setlength addtolength multicolumn multirow indexsee indexfoot newtheorem
        newcommand renewcommand providecommand DeclareMathOperator fontsize resizebox numberwithin
        settowidth DeclareRobustCommand pdfbookmark def let crefrange Crefrange vrefrange rule
        import subimport inputfrom subinputfrom includefrom subincludefrom
    """),
        2,
    ),
    **dict.fromkeys(_words("""
        addcontentsline newenvironment renewenvironment crefname Crefname titlespacing definecolor
    """), 3),
    "hypertarget": 1, "scalebox": 1, "rotatebox": 1, "newlength": 1, "fcolorbox": 2, "includegraphics": 1,
    **dict.fromkeys(_words("hline toprule midrule bottomrule addlinespace protect footnotemark"), 0),
}  # fmt: skip
"""Arguments to leave out; those that follow are text (``\\href{address}{text}``)."""

DIMENSION = frozenset(
    _words("""
        vskip hskip kern vglue hglue mskip mkern raise lower moveleft moveright parindent parskip
        baselineskip hsize vsize hoffset voffset magnification tolerance hangindent hangafter leftskip
        rightskip baselineskip lineskip pageno abovedisplayskip belowdisplayskip textwidth textheight
        oddsidemargin evensidemargin topmargin headheight headsep looseness penalty hyphenpenalty
        clubpenalty widowpenalty binoppenalty relpenalty hbadness vbadness tabcolsep
    """)
)
"""Followed by a length or a number without braces."""

LEVEL = {
    "part": "#", "chapter": "#", "section": "##", "subsection": "###", "subsubsection": "####", "paragraph": "#####",
    "subparagraph": "######",
    "frametitle": "##", "framesubtitle": "###",
    "beginsection": "##", "heading": "##", "subheading": "###", "head": "##", "subhead": "###",
}  # fmt: skip
"""The last lines: beamer, plain TeX and AMS-TeX."""

APART = tuple(
    _words("""
        title subtitle author date address affiliation affil institute email keywords dedicatory abstract
        subjclass
    """)
)
"""Their argument is a paragraph."""

MATHEMATICS = frozenset(
    _words("""
        equation align gather multline eqnarray displaymath math flalign alignat xalignat xxalignat aligned
        gathered split array cases matrix pmatrix bmatrix vmatrix smallmatrix tikzcd CD dmath IEEEeqnarray
    """)
)
FIGURES = frozenset(
    _words("""
        figure wrapfigure SCfigure sidewaysfigure floatingfigure subfigure marginfigure figwindow
    """)
)
DROPPED = frozenset(
    _words("""
        thebibliography tikzpicture picture pgfpicture pspicture pspicture circuitikz asy forest
    """)
)
TABLES = {
    "tabular": 1, "tabularx": 2, "tabulary": 2, "longtable": 1, "supertabular": 1, "xtabular": 1, "tabu": 1,
    "longtabu": 1, "tblr": 1, "ltablex": 1, "deluxetable": 1, "mpsupertabular": 1,
}  # fmt: skip
"""Arguments before the first cell; ``tabular*`` has one more."""

LAYOUT = {
    "minipage": 1, "multicols": 1, "wraptable": 2, "list": 2, "adjustwidth": 2, "spacing": 1, "CJK": 2, "subtable": 1,
    "otherlanguage": 1, "columns": 0, "column": 1, "textblock": 1, "adjustbox": 1, "addmargin": 1,
    "turn": 1, "rotate": 1,
    "tabbing": 0, "thenomenclature": 1, "resizebox": 2, "scriptexample": 1,
}  # fmt: skip
"""Other environments' arguments that are no text."""

THEOREMS = frozenset(
    _words("""
        theorem thm lemma lem proposition prop corollary cor definition defn remark rem example exm
        conjecture claim fact proof question problem exercise notation assumption axiom observation
    """)
)
"""What stands in brackets after their ``\\begin`` is a name."""
