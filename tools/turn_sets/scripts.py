"""What is said in each scene: data, and nothing else.

Every English, Spanish, German and French sentence is one that training of the demo models left out (a test
says so), and none is in `tests/clips`. `|` is where the speaker pauses: between phrases, as people do.
"""

from __future__ import annotations

SINGLE = (
    "Are there any flights from Seattle to Lisbon June eighth?",
    "Set the volume to seventeen percent.",
    "What is the balance of my savings account?",
    "Wake me up at three in the morning.",
    "My card ends in six two seven three.",
    "Turn off the lamp in the garden please.",
    "I live in Tokyo.",
    "Can I have a small tea and a soup?",
    "Book a train ticket to Dublin for eight people.",
    "Play some classical music in the office.",
    "I want to book a flight to Oslo on Wednesday.",
    "What time is it in Madrid?",
)

PAUSES = {
    300: (
        "I need a flight from Chicago to Prague | on the twenty seventh of September please.",
        "Book a table for nine | on November twenty eighth at quarter to five.",
        "Can you move my meeting with David | to ten in the afternoon?",
        "I'd like to book a table for seven people | at three o'clock.",
        "My phone number is three seven five | one one eight one.",
        "Pay my bill of ninety eight euros | on next Wednesday.",
        "Remind me to call Sophie | at quarter past ten.",
        "I'd like to book a table for eight people | at seven o'clock.",
    ),
    600: (
        "I need a flight from Dublin to Paris | on the twenty eighth of June please.",
        "Book a table for two | on this Tuesday at four thirty.",
        "Change my appointment | to the twenty fifth of March at three o'clock.",
        "I need an appointment with the sales team | on next Monday.",
        "The confirmation code is nine six four | four three two.",
        "Send sixty pounds | from my savings account to Daniel.",
        "Book a train ticket to Prague | for six people.",
        "Pay my bill of thirty pounds | on May twenty eighth.",
    ),
}
"""By the length of the pause in ms."""

BACK_TO_BACK = (
    (
        "Connect me to the sales team, please.",
        "My name is Emma.",
        "My order number is three seven one nine one four.",
    ),
    (
        "When is the next train from Rome to Vienna?",
        "Book a train ticket to Rome for five people.",
        "What is the weather in Oslo December fifteenth?",
        "Please cancel my reservation for tonight.",
    ),
    (
        "I need a hotel in London for three nights.",
        "Can I book a table for two people March fourteenth?",
        "I would like to order eight burgers please.",
    ),
    (
        "Set the temperature to seven degrees.",
        "Turn off the kitchen lamp.",
        "Turn on the heater in the living room please.",
        "Remind me to call Thomas at midnight.",
    ),
)

BARGE_IN = (
    "Please cancel my reservation for next Friday.",
    "Connect me to the manager, please.",
    "Transfer ten dollars to Julia.",
    "My card ends in nine one one six.",
)

FAR_END = (
    "The confirmation code is eight one zero three four nine.",
    "The total is twenty five thousand euros.",
    "September twenty second at seven in the morning.",
    "The confirmation code is two nine seven five three five.",
    "November seventh at one in the afternoon.",
)
"""What the agent says under `BARGE_IN`, over and over, each time from another sentence on."""

WHISPER = (
    "Call Emma this Sunday.",
    "Wake me up at quarter to eight.",
    "Set the temperature to eight degrees.",
    "Will it rain in Madrid November seventh?",
)

MONOLOGUE = (
    (
        "This is David speaking.",
        "I need a flight from Sydney to Chicago on December tenth please.",
        "I need a hotel in Chicago for six nights.",
        "Can you find a hotel in Chicago from this Friday to March thirteenth?",
        "Book a train ticket to Boston for three people.",
        "What is the weather in Denver December twenty sixth?",
        "Pay my bill of eighteen pounds on October twenty sixth.",
        "My account number is six eight seven one.",
        "Send four euros from my checking account to Sophie.",
        "Change my appointment to April twelfth at noon.",
        "Remind me to call Peter at five in the morning.",
        "I want to book a flight to Tokyo on July twelfth.",
        "Please cancel my reservation for Thursday.",
        "Will it rain in Denver next Tuesday?",
    ),
    (
        "Turn off the kitchen music.",
        "Set the thermostat in the garden to twelve degrees.",
        "Play some rock music in the garden.",
        "Turn off the music in the living room please.",
        "Set an alarm for four o'clock February twenty sixth.",
        "Can you move my meeting with Daniel to eleven ten?",
        "I need an appointment with the dentist on July twelfth.",
        "Send a message to Daniel that I will be ten minutes late.",
        "I'd like a medium burger with extra cheese.",
        "One burger and one cheese cake to go.",
        "What time does the train to Berlin leave?",
        "I need an appointment with the doctor on March sixth.",
        "Can you move my meeting with Thomas to quarter past nine?",
        "What is the balance of my credit card?",
    ),
)
"""Said until they are long enough."""

LANGUAGES = (
    (
        ("en", "I need a hotel in Madrid for four nights."),
        ("es", "Necesito un hotel en Sevilla para siete noches."),
    ),
    (("es", "Quiero reservar una mesa para cuatro personas."), ("de", "Stelle den Wecker auf sieben Uhr.")),
    (("de", "Ich brauche ein Hotel in Köln für zwei Nächte."), ("fr", "Quel temps fait-il à Bordeaux?")),
    (
        ("fr", "Je voudrais réserver une table pour six personnes."),
        ("en", "What is the weather in Oslo December fifteenth?"),
    ),
    (("en", "Turn off the kitchen lamp."), ("de", "Ich möchte einen Tisch für vier Personen reservieren.")),
    (("fr", "Mets une alarme à sept heures."), ("es", "Pon una alarma a las ocho.")),
)
"""Two turns each, with their languages."""

JFK = (
    "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country."
)
LJ = {
    "lj001-0002": "in being comparatively modern.",
    "lj001-0004": (
        "produced the block books, which were the immediate predecessors of the true printed book,"
    ),
}
"""What people say in the recordings, by file."""
