/*
 * Showing rows to statements, as transition tables are.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "queue/inhand.h"
#include "utils/queryenvironment.h"

void
smrt_inhand_show(TupleDesc desc, Tuplestorestate *store, double n_rows)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = SMRT_IN_HAND;
	relation->md.tupdesc = desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = n_rows;
	relation->reldata = store;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not show rows to statements");
}
