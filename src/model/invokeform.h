/*
 * The functions that are an operation each: where their arguments go, and what
 * comes of a reply.  Their arguments are the endpoint, the body, members, the
 * server, and options.
 */
#ifndef SMRT_MODEL_INVOKEFORM_H
#define SMRT_MODEL_INVOKEFORM_H

#include "access/tupdesc.h"
#include "call/callset.h"

/* The argument that is the body. */
#define SMRT_INVOKE_BODY 1

typedef struct SmrtInvokeForm
{
	SmrtOperation operation;
	int			n_arguments;
	int			n_columns;		/* of the result */
	bool		needs_body;		/* without one nothing is sent */
	const SmrtMember *members;	/* in the order of the arguments; those that are */
	int			n_members;		/* integers stand last */
	int			n_integers;
	Datum		(*row) (TupleDesc tupdesc, const SmrtCall *call);
} SmrtInvokeForm;

/* NULL: no such function has that many arguments. */
extern const SmrtInvokeForm *smrt_invokeform_find(int n_arguments);

/* The number of the argument that is the server; the next one is the options. */
extern int	smrt_invokeform_server(const SmrtInvokeForm *form);

/* Whether that row of arguments is to be sent; else the result is NULL. */
extern bool smrt_invokeform_is_sent(const SmrtInvokeForm *form,
									const bool *nulls);

/*
 * Fills in what the arguments say, but for the options; it points into them.
 * body_type is that of the body, warned_of_bytea as in smrt_argument_body().
 * Raises 54000 over a body that the operation does not take.
 */
extern void smrt_invokeform_read(const SmrtInvokeForm *form, Oid body_type,
								 const Datum *values, const bool *nulls,
								 bool *warned_of_bytea, SmrtRequest *request);

#endif							/* SMRT_MODEL_INVOKEFORM_H */
