"""A folder of small, sound files in the form of the real ones; a test spoils what it is about."""

from __future__ import annotations

from pathlib import Path

TELCO_HEADER = (
    "customer_id,churn,female,senior_citizen,partner,dependents,tenure,phone_service,multiple_lines,internet_service,"
    "online_security,online_backup,device_protection,tech_support,streaming_tv,streaming_movies,contract,"
    "paperless_billing,payment_method,monthly_charges,total_charges"
)
SMALL_FILES = {
    "telco_customers.csv": TELCO_HEADER
    + "\n1,No,1,0,1,0,1,0,No phone service,DSL,No,Yes,No,No,No,No,Month-to-month,1,Electronic check,29.85,29.85"
    + "\n2,Yes,0,0,0,0,0,1,No,Fiber optic,No,No,No,No,Yes,Yes,Month-to-month,1,Electronic check,95.5,"
    + "\n3,No,0,0,0,0,72,1,Yes,No,No internet service,No internet service,No internet service,No internet service,"
    + 'No internet service,No internet service,Two year,0,"Bank transfer, automatic",20.05,1443.6\n',
    "crm_opportunities.csv": (
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n"
        "AAA,Moses Frase,GTXPro,Cancity,Won,10/20/2016,3/1/2017,1054\n"
        "BBB,Darcel Schlecht,GTX Basic,,Engaging,1/2/2017,,0\n"
        'CCC,Darcel Schlecht,MG Special,"Isdom, ""the"" first",Won,12/31/2016,1/1/2017,50\n'
        "DDD,Moses Frase,MG Special,Cancity,Prospecting,,,0\n"
    ),
    "inventory_products.csv": (
        "product_id,name,product_number,make_flag,safety_stock_level,reorder_point,standard_cost,list_price,"
        "days_to_manufacture,sell_start_date,sell_end_date,discontinued_date\n"
        "1,Adjustable Race,AR-5381,0,1000,750,0,0,0,2008-04-30 00:00:00,,\n"
        "2,Bearing Ball,BA-8327,0,1000,750,0,0,0,2008-04-30 00:00:00,,\n"
    ),
    "inventory_levels.csv": (
        "product_id,location_id,shelf,bin,quantity,modified_date\n"
        "1,1,A,1,408,2014-08-08 00:00:00\n"
        "1,6,B,5,324,2014-08-08 00:00:00\n"
    ),
    "inventory_vendors.csv": (
        "vendor_id,account_number,name,credit_rating,preferred,active,url,modified_date\n"
        "1492,AUSTRALI0001,Australia Bike Retailer,1,1,1,,2011-12-23 00:00:00\n"
    ),
    "inventory_product_vendors.csv": (
        "product_id,vendor_id,average_lead_time_days,standard_price,last_receipt_cost,last_receipt_date,min_order_qty,"
        "max_order_qty,on_order_qty,unit_measure_code,modified_date\n"
        "1,1492,17,47.87,50.2635,2011-08-29 00:00:00,1,5,3,CS ,2011-08-29 00:00:00\n"
        "2,1492,19,39.92,41.916,2011-08-29 00:00:00,1,5,,CTN,2011-08-29 00:00:00\n"
    ),
}


def write_small_files(folder: Path, **changed: str | bytes) -> Path:
    """Write the files into the folder; a keyword names a file (without .csv) that has other content."""
    folder.mkdir(exist_ok=True)
    for name, content in {**SMALL_FILES, **{f"{stem}.csv": text for stem, text in changed.items()}}.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
    return folder
