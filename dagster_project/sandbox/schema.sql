-- Everything the sandbox keeps; one file, so that a copy of it is a copy of the whole world.
create table if not exists effects (
    id integer primary key,
    vendor text not null,
    operation text not null,
    idempotency_key text,
    entity text,
    record text not null,
    is_created integer not null,
    url text,
    at text not null
);
create index if not exists effects_by_key on effects (vendor, idempotency_key);

create table if not exists hubspot_objects (
    id integer primary key autoincrement,
    object_type text not null,
    properties text not null,
    created_at text not null,
    updated_at text not null,
    is_archived integer not null default 0
);
create index if not exists hubspot_objects_by_type on hubspot_objects (object_type, id);
create table if not exists hubspot_unique_values (
    object_type text not null,
    property text not null,
    value text not null,
    object_id integer not null,
    primary key (object_type, property, value)
) without rowid;
create table if not exists hubspot_properties (
    object_type text not null,
    name text not null,
    has_unique_value integer not null,
    definition text not null,
    primary key (object_type, name)
) without rowid;
create table if not exists hubspot_associations (
    from_type text not null,
    from_id integer not null,
    to_type text not null,
    to_id integer not null,
    type_id integer not null,
    primary key (from_type, from_id, to_type, to_id, type_id)
) without rowid;
create table if not exists hubspot_lists (
    id integer primary key autoincrement,
    name text not null,
    object_type_id text not null,
    processing_type text not null,
    created_at text not null,
    updated_at text not null,
    unique (object_type_id, name)
);
create table if not exists hubspot_members (
    list_id integer not null,
    record_id integer not null,
    added_at text not null,
    primary key (list_id, record_id)
) without rowid;
create index if not exists hubspot_members_by_record on hubspot_members (record_id);
create table if not exists hubspot_owners (
    id integer primary key autoincrement,
    email text not null unique,
    first_name text not null,
    last_name text not null,
    created_at text not null
);

create table if not exists tryton_records (
    model text not null,
    id integer not null,
    data text not null,
    created_at text not null,
    written_at text,
    primary key (model, id)
) without rowid;
create index if not exists tryton_by_reference on tryton_records (model, json_extract(data, '$.reference'));
create index if not exists tryton_by_code on tryton_records (model, json_extract(data, '$.code'));
create index if not exists tryton_by_name on tryton_records (model, json_extract(data, '$.name'));
create index if not exists tryton_by_party on tryton_records (model, json_extract(data, '$.party'));
create index if not exists tryton_by_purchase on tryton_records (model, json_extract(data, '$.purchase'));
create index if not exists tryton_by_parent on tryton_records (model, json_extract(data, '$.parent'));
create index if not exists tryton_by_template on tryton_records (model, json_extract(data, '$.template'));
create table if not exists tryton_sequences (model text primary key, last_id integer not null) without rowid;

create table if not exists slack_channels (
    id text primary key,
    name text not null unique,
    topic text not null default '',
    created integer not null
) without rowid;
create table if not exists slack_messages (
    channel text not null,
    ts text not null,
    thread_ts text,
    text text not null,
    blocks text,
    metadata text,
    edited_ts text,
    primary key (channel, ts)
) without rowid;
create index if not exists slack_messages_by_thread on slack_messages (channel, thread_ts, ts);
create table if not exists slack_reactions (
    channel text not null,
    ts text not null,
    name text not null,
    primary key (channel, ts, name)
) without rowid;

create table if not exists mails (
    id integer primary key,
    message_id text,
    sender text not null,
    recipients text not null,
    subject text not null,
    raw blob not null,
    received_at text not null
);
create table if not exists hooks (
    id integer primary key,
    name text not null,
    webhook_id text,
    headers text not null,
    body blob not null,
    received_at text not null
);
create index if not exists hooks_by_webhook on hooks (name, webhook_id);
