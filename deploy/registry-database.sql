-- The registry's database, beside Airflow's; made with the database's first start.
CREATE DATABASE registry OWNER nplusx;
