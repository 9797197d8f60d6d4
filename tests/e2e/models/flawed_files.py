"""Files of a sound form with rows that cannot be used, and what staging must say about each."""

from __future__ import annotations

from pathlib import Path

_CUSTOMER = "No,1,0,1,0,{tenure},1,No,DSL,No,Yes,No,No,No,No,{contract},1,Electronic check,{charges},{total}"


def _customer(
    number: str, tenure: str = "1", contract: str = "One year", charges: str = "29.85", total: str = ""
) -> str:
    return f"{number}," + _CUSTOMER.format(tenure=tenure, contract=contract, charges=charges, total=total)


_FILES = {
    "telco_customers.csv": [
        "customer_id,churn,female,senior_citizen,partner,dependents,tenure,phone_service,multiple_lines,internet_service,"
        "online_security,online_backup,device_protection,tech_support,streaming_tv,streaming_movies,contract,"
        "paperless_billing,payment_method,monthly_charges,total_charges",
        _customer("1"),
        _customer("1"),
        _customer("2", tenure="a year"),
        _customer("3", contract="Lifelong"),
        _customer("4", charges="NaN"),
        _customer("5", total="Infinity"),
        _customer("", tenure="2"),
        _customer("6", charges="1" * 40),
    ],
    "crm_opportunities.csv": [
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value",
        "AAA,Moses Frase,GTXPro,,Won,10/20/2016,3/1/2017,1054",
        "BBB,Moses Frase,GTXPro,Cancity,Won,10/20/2016,2/30/2017,1054",
        "CCC,Moses Frase,GTXPro,Cancity,Won,10/20/2016,,1054",
        "DDD,Moses Frase,GTXPro,Cancity,Gained,10/20/2016,3/1/2017,1054",
        "EEE,Moses Frase,GTXPro,Cancity,Lost,10/20/2016,3/1/2017,much",
    ],
    "inventory_products.csv": [
        "product_id,name,product_number,make_flag,safety_stock_level,reorder_point,standard_cost,list_price,"
        "days_to_manufacture,sell_start_date,sell_end_date,discontinued_date",
        "1,Adjustable Race,AR-5381,0,1000,750,0,0,0,2008-04-30 00:00:00,,",
        "2,Bearing Ball,,0,1000,750,0,0,0,2008-04-30 00:00:00,,",
        "3,BB Ball Bearing,BE-2349,1,800,many,0,0,1,2008-04-30 00:00:00,,",
    ],
    "inventory_levels.csv": [
        "product_id,location_id,shelf,bin,quantity,modified_date",
        "1,1,A,1,408,2014-08-08 00:00:00",
        "1,6,B,5,324,2014-08-08 00:00:00",
        "1,6,B,5,324,2014-08-08 00:00:00",
        "1,7,B,5,about ten,2014-08-08 00:00:00",
        "2,1,A,1,408,2014-08-08 00:00:00",
    ],
    "inventory_vendors.csv": [
        "vendor_id,account_number,name,credit_rating,preferred,active,url,modified_date",
        "1492,AUSTRALI0001,Australia Bike Retailer,1,1,1,,2011-12-23 00:00:00",
        "1493,AUSTRALI0002,Nobody,1,1,maybe,,2011-12-23 00:00:00",
    ],
    "inventory_product_vendors.csv": [
        "product_id,vendor_id,average_lead_time_days,standard_price,last_receipt_cost,last_receipt_date,min_order_qty,"
        "max_order_qty,on_order_qty,unit_measure_code,modified_date",
        "1,1492,17,47.87,50.2635,2011-08-29 00:00:00,1,5,3,CS ,2011-08-29 00:00:00",
        "1,1493,17,free,50.2635,2011-08-29 00:00:00,1,5,3,CS ,soon",
        "1,9999,17,47.87,50.2635,2011-08-29 00:00:00,1,5,,CS ,2011-08-29 00:00:00",
        "1,1494,17,47.87,50.2635,2011-08-29 00:00:00,10,5,,CS ,2011-08-29 00:00:00",
    ],
}

# by landing table: rows used, and rows refused by reason
FLAWS: dict[str, tuple[int, dict[str, int]]] = {
    "customers": (
        1,
        {
            "customer_id was on an earlier line": 1,
            "customer_id is empty": 1,
            "tenure is not a whole number of months": 1,
            "contract is not one of Month-to-month, One year, Two year": 1,
            "monthly charges are not an amount": 2,
            "total charges are neither empty nor an amount": 1,
        },
    ),
    "opportunities": (
        1,
        {
            "close date cannot be read": 1,
            "won, but without a close date": 1,
            "stage is not one of Prospecting, Engaging, Won, Lost": 1,
            "value is not an amount": 1,
        },
    ),
    "products": (1, {"product number is empty": 1, "reorder point is not a quantity": 1}),
    "stock_levels": (
        2,
        {"the place was counted on an earlier line": 1, "quantity is not a number": 1, "the product is not known": 1},
    ),
    "suppliers": (1, {"whether the supplier is active is neither yes nor no": 1}),
    "product_suppliers": (
        1,
        {
            "price is not an amount": 1,
            "the supplier is not known": 1,
            "maximum order is below minimum order": 1,
        },
    ),
    "open_orders": (1, {"expected date cannot be read": 1}),
    "accounts": (1, {}),
}


def write_flawed_files(folder: Path) -> Path:
    """Write the files into an existing folder."""
    for name, lines in _FILES.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
