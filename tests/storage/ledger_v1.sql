BEGIN TRANSACTION;
CREATE TABLE accounting (
	device VARCHAR NOT NULL, 
	hour_ms BIGINT NOT NULL, 
	received INTEGER NOT NULL, 
	late INTEGER NOT NULL, 
	duplicate INTEGER NOT NULL, 
	quarantined INTEGER NOT NULL, 
	PRIMARY KEY (device, hour_ms)
);
CREATE TABLE alerts (
	alert VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	site VARCHAR NOT NULL, 
	metric VARCHAR NOT NULL, 
	rule VARCHAR NOT NULL, 
	nature VARCHAR NOT NULL, 
	severity VARCHAR NOT NULL, 
	event_ms BIGINT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	resolved_event_ms BIGINT, 
	resolved_at_ms BIGINT, 
	value FLOAT, 
	expected_low FLOAT, 
	expected_high FLOAT, 
	text_en TEXT NOT NULL, 
	text_lo TEXT NOT NULL, 
	acknowledged_at_ms BIGINT, 
	acknowledged_by VARCHAR, 
	comment TEXT, 
	PRIMARY KEY (alert)
);
CREATE TABLE device_states (
	device VARCHAR NOT NULL, 
	state VARCHAR, 
	status JSON, 
	first_seen_ms BIGINT NOT NULL, 
	last_seen_ms BIGINT NOT NULL, 
	latest JSON NOT NULL, 
	PRIMARY KEY (device)
);
CREATE TABLE devices (
	device VARCHAR NOT NULL, 
	site VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	interval_s FLOAT NOT NULL, 
	uplink INTEGER NOT NULL, 
	params JSON NOT NULL, 
	PRIMARY KEY (device)
);
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at_ms BIGINT NOT NULL, 
	type VARCHAR NOT NULL, 
	data JSON NOT NULL
);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('schema_version','1');
INSERT INTO "meta" VALUES('registry_version','0');
CREATE TABLE process_stats (
	process VARCHAR NOT NULL, 
	at_ms BIGINT NOT NULL, 
	data JSON NOT NULL, 
	PRIMARY KEY (process)
);
CREATE TABLE progress (
	reader VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	PRIMARY KEY (reader)
);
CREATE TABLE quarantine (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	received_ms BIGINT NOT NULL, 
	topic TEXT NOT NULL, 
	device VARCHAR NOT NULL, 
	payload BLOB NOT NULL, 
	reason VARCHAR NOT NULL, 
	refusals JSON NOT NULL, 
	whole BOOLEAN NOT NULL, 
	state VARCHAR NOT NULL, 
	replayed_ms BIGINT
);
CREATE TABLE series (
	number INTEGER NOT NULL, 
	device VARCHAR NOT NULL, 
	metric VARCHAR NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (device, metric)
);
CREATE TABLE sites (
	site VARCHAR NOT NULL, 
	name_en VARCHAR NOT NULL, 
	name_lo VARCHAR NOT NULL, 
	class VARCHAR NOT NULL, 
	province VARCHAR NOT NULL, 
	district VARCHAR NOT NULL, 
	lat FLOAT, 
	lon FLOAT, 
	agency VARCHAR NOT NULL, 
	feeder VARCHAR NOT NULL, 
	priority VARCHAR NOT NULL, 
	uplinks JSON NOT NULL, 
	PRIMARY KEY (site)
);
CREATE TABLE snapshots (
	name VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	state BLOB NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE totals (
	name VARCHAR NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE INDEX ix_sites_province ON sites (province);
CREATE INDEX ix_devices_site ON devices (site);
CREATE INDEX ix_device_states_last_seen_ms ON device_states (last_seen_ms);
CREATE INDEX alerts_by_time ON alerts (at_ms, alert);
CREATE UNIQUE INDEX one_open_alert ON alerts (device, metric, rule) WHERE state <> 'resolved';
CREATE INDEX ix_quarantine_device ON quarantine (device);
CREATE INDEX ix_quarantine_reason ON quarantine (reason);
CREATE INDEX ix_quarantine_received_ms ON quarantine (received_ms);
COMMIT;
