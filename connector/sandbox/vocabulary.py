"""The words that the sandbox's records are made of. All names are invented."""

from __future__ import annotations

FIRMS = (
    "Alder", "Amberfield", "Baltic", "Beacon", "Birchwood", "Bluestone", "Brightwater", "Calder", "Canyon",
    "Cedar", "Clearview", "Copperline", "Crestview", "Delta", "Eastgate", "Ember", "Fairhaven", "Falcon",
    "Foxglove", "Granite", "Greenfield", "Halcyon", "Harbor", "Hawthorn", "Highland", "Ironbridge", "Juniper",
    "Keystone", "Lakeside", "Larkspur", "Linden", "Maple", "Meridian", "Millbrook", "Northwind", "Oakmont",
    "Orchard", "Pinnacle", "Polar", "Quarry", "Redwood", "Ridgeline", "Riverbend", "Saffron", "Sierra",
    "Silverlake", "Stonegate", "Summit", "Thornton", "Tideway", "Vantage", "Westbrook", "Willow", "Zenith",
)  # fmt: skip
TRADES = (
    "Catering", "Chemicals", "Components", "Consulting", "Electrical", "Engineering", "Facilities", "Foods",
    "Freight", "Furniture", "Hydraulics", "Instruments", "Logistics", "Metals", "Office Supply", "Optics",
    "Packaging", "Paper", "Plastics", "Printing", "Robotics", "Security", "Software", "Staffing", "Textiles",
    "Tooling", "Travel",
)  # fmt: skip
FORMS = ("Inc", "LLC", "Ltd", "GmbH", "AG", "SARL", "SpA", "BV", "AB", "Oy", "Pty Ltd", "KK")
PLACES = (
    ("Chicago", "US", "USD"), ("Denver", "US", "USD"), ("Atlanta", "US", "USD"), ("Toronto", "CA", "CAD"),
    ("London", "GB", "GBP"), ("Leeds", "GB", "GBP"), ("Hamburg", "DE", "EUR"), ("Munich", "DE", "EUR"),
    ("Lyon", "FR", "EUR"), ("Turin", "IT", "EUR"), ("Utrecht", "NL", "EUR"), ("Zürich", "CH", "CHF"),
    ("Malmö", "SE", "SEK"), ("Tampere", "FI", "EUR"), ("Osaka", "JP", "JPY"), ("Perth", "AU", "AUD"),
    ("São Paulo", "BR", "BRL"), ("Łódź", "PL", "PLN"),
)  # fmt: skip
GOODS = (
    "A4 paper, 80 g, 5 reams", "Adjustable desk", "Air filter set", "Annual software licence",
    "Ball bearing 6204", "Barcode scanner", "Cable tray, 3 m", "Cleaning, monthly", "Coffee beans, 10 kg",
    "Consulting, per day", "Corrugated box, 400x300", "Cut-resistant gloves", "Docking station",
    "Fire extinguisher check", "Forklift rental", "Freight, pallet", "Headset, wireless",
    "Hydraulic hose, 2 m", "Label rolls", "Laptop, 14 inch", "LED panel", "M8 bolts, box of 200",
    "Monitor, 27 inch", "Network switch, 24 ports", "Office chair", "Pallet wrap", "Printer toner, black",
    "Safety shoes", "Security guard, per shift", "Steel sheet, 2 mm", "Temporary staff, hour", "Toolbox",
    "Training, two days", "USB-C cable", "Water dispenser rental", "Whiteboard",
)  # fmt: skip
INVOICE_STATES = (
    "new", "pending_approval", "pending_receipt", "approved", "approved", "approved", "approved", "on_hold",
    "disputed", "voided",
)  # fmt: skip
FIRST_NAMES = (
    "Abel", "Ada", "Amina", "Anton", "Beatriz", "Bela", "Carla", "Chen", "Dana", "Diego", "Elena", "Emre",
    "Farah", "Felix", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jamal", "June", "Kai", "Karin", "Leila",
    "Luca", "Maya", "Mikko", "Nadia", "Noah", "Olga", "Omar", "Priya", "Rafael", "Rosa", "Sami", "Sofia",
    "Tariq", "Uma", "Vera", "Yuki",
)  # fmt: skip
LAST_NAMES = (
    "Adler", "Baker", "Bianchi", "Castro", "Costa", "Dubois", "Eriksen", "Farouk", "Fischer", "Garcia",
    "Haddad", "Ito", "Jansen", "Kim", "Kowalski", "Lehto", "Mbeki", "Moreau", "Nakamura", "Novak", "Okafor",
    "Olsen", "Park", "Patel", "Quinn", "Rossi", "Santos", "Schmidt", "Singh", "Tanaka", "Weber", "Yilmaz",
)  # fmt: skip
DEPARTMENTS = ("Finance", "Sales", "Operations", "IT", "Legal", "People", "Research", "Procurement")
GROUPS = ("Service Desk", "Network", "Hardware", "Database", "Applications", "Identity")
MACHINES = (
    ("cmdb_ci_computer", "lap"), ("cmdb_ci_computer", "wks"), ("cmdb_ci_server", "srv"),
    ("cmdb_ci_netgear", "net"), ("cmdb_ci_printer", "prn"),
)  # fmt: skip
COMPLAINTS = (
    ("network", "VPN drops every few minutes"), ("network", "No Wi-Fi in meeting room 4"),
    ("network", "Video calls stutter since this morning"), ("hardware", "Laptop does not wake from sleep"),
    ("hardware", "Docking station is not recognised"), ("hardware", "Printer on floor 2 jams"),
    ("hardware", "Battery lasts less than an hour"), ("software", "Spreadsheet crashes when saving"),
    ("software", "Mail client asks for the password again and again"),
    ("software", "Cannot install the update"), ("software", "Report shows last month's figures"),
    ("inquiry", "Needs access to the finance share"), ("inquiry", "New starter needs an account by Monday"),
    ("inquiry", "How to set an out-of-office note"), ("database", "Nightly import did not finish"),
    ("database", "Query takes ten times longer than yesterday"),
    ("access", "Locked out after changing the password"), ("access", "Lost the second factor"),
)  # fmt: skip
