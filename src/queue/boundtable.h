/*
 * A model bound to a table: which columns a row's inputs are, which column takes
 * the prediction, and which are the key.
 *
 * Statements over it name every object and operator with its schema, quoted, so
 * that no search_path has a part in them.  They are the current role's: its
 * privileges and row-level security hold.
 */
#ifndef SMRT_QUEUE_BOUNDTABLE_H
#define SMRT_QUEUE_BOUNDTABLE_H

#include "access/attnum.h"
#include "lib/stringinfo.h"
#include "model/model.h"

/* What else is written beside a prediction, in columns that the user names. */
typedef enum SmrtStamp
{
	SMRT_STAMP_MADE_AT,			/* when the prediction was made */
	SMRT_STAMP_VARIANT,			/* the production variant that made it */
	SMRT_STAMP_VERSION,			/* the model's option "version" at that time */
	SMRT_STAMP_COUNT
} SmrtStamp;

/* The type of what is written. */
extern Oid	smrt_stamp_type(SmrtStamp stamp);

/* What is to be bound. */
typedef struct SmrtTableSpec
{
	Oid			relation;
	Oid			function;
	List	   *targets;		/* of char *: columns for the prediction */
	const char *stamps[SMRT_STAMP_COUNT];	/* columns, or NULL */
	bool		needs_key;
	List	   *key;			/* of char *: columns that are the key; NIL: those of
								 * the primary key */
	bool		has_source;		/* key and inputs come from a query, by name */
	bool		has_no_targets; /* nor stamps: the prediction goes elsewhere */
} SmrtTableSpec;

typedef struct SmrtColumn
{
	const char *name;			/* not quoted */
	AttrNumber	number;
	Oid			type;
	int32		typmod;
	Oid			collation;
	const char *equal;			/* of a key: operators, as SQL */
	const char *greater;
	int			source;			/* of what is written: a column of resultrow.h's
								 * row, from 0 */
} SmrtColumn;

typedef struct SmrtBoundTable
{
	Oid			relation;
	const char *relation_name;	/* with its schema, quoted */
	const char *scanned;		/* the same behind FROM: ONLY if it is no partitioned
								 * table */
	const char *model_name;		/* with schema and argument types */
	const SmrtModel *model;
	int			n_keys;			/* 0: not needed */
	SmrtColumn *keys;			/* of the primary key, in its order */
	bool		has_source;
	int			n_inputs;		/* one an argument of the model */
	SmrtColumn *inputs;			/* with a source they have names only */
	int			n_targets;		/* one takes the whole result, several take its
								 * columns */
	const char *target_name;	/* these as SQL has them, with commas between */
	int			n_written;
	SmrtColumn *written;		/* the targets, then the stamps that are wanted */
} SmrtBoundTable;

/*
 * Binds, in the current memory context; the current role must have EXECUTE on
 * the model.  Errors name what does not fit: 42809 no table, 42883 no model,
 * 42703 no such column, 42P10 no primary key, 42804 a type, 428C9 a generated
 * column, 42501.
 */
extern SmrtBoundTable *smrt_boundtable_make(const SmrtTableSpec *spec);

/*
 * A model function by its name, which has argument types where it is not the
 * only one; both need their schemas if search_path is pinned.  Raises 42883.
 */
extern Oid	smrt_boundtable_function(const char *name);

/*
 * What a query over the relation, or the source, as t selects: its keys as k1, k2,
 * ..., its inputs, as the model wants them, as i1, i2, ..., and, of the relation,
 * what the targets are as o1, o2, ...
 */
extern void smrt_boundtable_select(const SmrtBoundTable *binding, StringInfo sql);

/* Conditions: t's key is that of s, in columns k1, k2, ... */
extern void smrt_boundtable_same_key(const SmrtBoundTable *binding, StringInfo sql);

/* t's inputs, byte for byte, are those of s; its targets are. */
extern void smrt_boundtable_same_inputs(const SmrtBoundTable *binding, StringInfo sql);
extern void smrt_boundtable_same_targets(const SmrtBoundTable *binding, StringInfo sql);

/*
 * With AND before it: the relation, as alias, has no prediction in the row, or one
 * of another version.
 */
extern void smrt_boundtable_unscored(const SmrtBoundTable *binding,
								  const char *alias, StringInfo sql);

/* With AND before it, or nothing: the model does not pass t's row over for a null. */
extern void smrt_boundtable_predictable(const SmrtBoundTable *binding, StringInfo sql);

#endif							/* SMRT_QUEUE_BOUNDTABLE_H */
