-- So that what is over is found without looking at all the rest.
CREATE INDEX assurances_by_day ON assurances (day);
