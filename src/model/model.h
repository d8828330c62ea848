/*
 * A model function as a value: what its definition in pg_proc says, read once.
 */
#ifndef SMRT_MODEL_MODEL_H
#define SMRT_MODEL_MODEL_H

#include "access/tupdesc.h"
#include "call/callcount.h"
#include "call/operation.h"
#include "fmgr.h"
#include "pg/onerror.h"
#include "pg/settings.h"

#define SMRT_MAX_MAX_ROWS 1000000
#define SMRT_MAX_MIN_ROWS 100
#define SMRT_MAX_DIMENSION 65536

/* How rows are laid out in a request's body. */
typedef enum SmrtRowFormat
{
	SMRT_FORMAT_CSV,			/* a line a row */
	SMRT_FORMAT_INSTANCES,		/* {"instances": [row, ...]} */
	SMRT_FORMAT_ARRAY,			/* [row, ...] */
	SMRT_FORMAT_JSONLINES,		/* a JSON value a line */
	SMRT_FORMAT_INPUTS,			/* {"inputs": [row, ...]} */
	SMRT_FORMAT_SINGLE,			/* one row is the whole body */
	SMRT_FORMAT_LIBSVM,			/* a line a row: label, index:number ... */
	SMRT_FORMAT_RECORDIO,		/* RecordIO-protobuf: a record a row */
	SMRT_FORMAT_NPY,			/* a matrix */
	SMRT_FORMAT_LINES,			/* the one argument is a line as it is */
	SMRT_FORMAT_CHAT,			/* {"messages": [...]}, of one row */
	SMRT_FORMAT_COUNT
} SmrtRowFormat;

/* What a row is. */
typedef enum SmrtRowKind
{
	SMRT_ROW_CSV,				/* a line */
	SMRT_ROW_JSON,				/* a value */
	SMRT_ROW_NUMBERS,			/* numbers only */
	SMRT_ROW_TEXT				/* a text, as it is */
} SmrtRowKind;

/* How predictions are laid out in an answer. */
typedef enum SmrtAnswerFormat
{
	SMRT_ANSWER_CSV,
	SMRT_ANSWER_JSON,
	SMRT_ANSWER_JSONLINES,
	SMRT_ANSWER_RECORDIO,
	SMRT_ANSWER_NPY,
	SMRT_ANSWER_COUNT
} SmrtAnswerFormat;

/* What a NULL argument is in a request. */
typedef enum SmrtNulls
{
	SMRT_NULLS_DEFAULT,			/* empty in CSV, null in JSON */
	SMRT_NULLS_NAN,
	SMRT_NULLS_SKIP,			/* the row is not sent and gives NULL */
	SMRT_NULLS_ERROR,
	SMRT_NULLS_COUNT
} SmrtNulls;

/* How a chat is asked for JSON. */
typedef enum SmrtResponseFormat
{
	SMRT_RESPONSE_WORDS,		/* in words */
	SMRT_RESPONSE_JSON_SCHEMA,	/* by a schema that the container enforces */
	SMRT_RESPONSE_JSON_OBJECT,	/* in words, where the container enforces JSON */
	SMRT_RESPONSE_COUNT
} SmrtResponseFormat;

typedef struct SmrtTemplate SmrtTemplate;
typedef struct SmrtSchema SmrtSchema;

typedef struct SmrtModelArgument
{
	const char *name;			/* NULL: it has none */
	Oid			declared;		/* its type; the rest is of what is under any
								 * domain */
	Oid			type;
	char		category;		/* pg_type.typcategory */
	FmgrInfo	output;
	bool		shared;			/* the same in all rows of a request */
} SmrtModelArgument;

typedef enum SmrtResultKind
{
	SMRT_RESULT_SCALAR,			/* by its type's input function */
	SMRT_RESULT_JSON,			/* json or jsonb: the answer's JSON */
	SMRT_RESULT_ARRAY,
	SMRT_RESULT_RAW,			/* text: the answer as it is */
	SMRT_RESULT_COMPOSITE		/* a row type, or OUT parameters */
} SmrtResultKind;

/* What a column's value is, where the prediction has it not. */
typedef enum SmrtBinding
{
	SMRT_BOUND_NOT,				/* it is in the prediction */
	SMRT_BOUND_CONTENT_TYPE,
	SMRT_BOUND_INVOKED_PRODUCTION_VARIANT,
	SMRT_BOUND_CUSTOM_ATTRIBUTES,
	SMRT_BOUND_NEW_SESSION_ID,
	SMRT_BOUND_CLOSED_SESSION_ID,
	SMRT_BOUND_REQUEST_ID,
	SMRT_BOUND_SQLSTATE,
	SMRT_BOUND_MESSAGE,
	SMRT_BOUND_COUNT
} SmrtBinding;

/* One value that answers are read into. */
typedef struct SmrtResultColumn
{
	const char *name;			/* NULL in a scalar result */
	SmrtBinding binding;
	Oid			type;
	SmrtResultKind kind;		/* never COMPOSITE */
	bool		number;
	bool		whole_number;	/* int2, int4, int8 */
	bool		has_user_code;	/* input may run functions of users */
	Oid			ioparam;
	FmgrInfo	input;			/* of what is under any domain */
	int32		typmod;			/* of that, too */
	Oid			domain;			/* or InvalidOid */
	void	   *domain_memory;	/* domain_check()'s */
} SmrtResultColumn;

typedef struct SmrtModel
{
	Oid			function;
	const char *name;			/* for messages: qualified, or the quoted endpoint
								 * of what has no declaration */
	const char *endpoint;
	const char *server;			/* NULL: the default */
	const char *members[SMRT_INVOKE_MEMBER_COUNT]; /* NULL: not sent */
	SmrtRowFormat format;
	bool		header;			/* CSV: argument names come first */
	int			first_index;	/* LIBSVM: the first column's number */
	SmrtAnswerFormat answer_format; /* COUNT: as the answer's type says */
	bool		answer_header;	/* answers in CSV begin with names */
	bool		stream;			/* the answer is streamed text */
	const char *version;		/* a label that the user gives, or NULL */
	const char *predictions;	/* jsonpath to the list; NULL: found by itself */
	const char *rows_member;	/* of an object's rows; NULL: the format's */
	const char *index;			/* jsonpath to a row number, from 0, for each
								 * prediction; NULL: they are in order */
	int			dimension;		/* of arrays in predictions; 0: any */
	int			n_shared;		/* arguments that a request has once */
	const char *constant;		/* members of a JSON object, without braces */
	SmrtTemplate *system;		/* a language model's instructions, or NULL */
	SmrtTemplate *prompt;		/* what it is asked; NULL: the row as it is */
	const char *parameters;		/* members for it, as constant */
	const char *token_paths[SMRT_TOKENS_COUNT]; /* jsonpaths to how many it took;
												 * NULL: where known servers tell */
	SmrtResponseFormat response_format;
	bool		undecided_is_null;	/* parts of a chat's answer may be null */
	bool		repair;			/* one that does not fit is told so, once */
	SmrtSchema *schema;			/* of a chat's answer; NULL: it is text */
	const char *prompt_begin;	/* of a row with a prompt, in UTF-8 */
	const char *prompt_end;
	SmrtNulls	nulls;
	SmrtOnError on_error;		/* COUNT: as the setting says */
	int			max_failed_rows;	/* -1: as the setting says; 0: no limit */
	double		max_failed_ratio;	/* -1: as the setting says */
	bool		errors_are_data;	/* a column is bound to them */
	bool		deterministic;
	bool		strict;
	Oid			definer;		/* SECURITY DEFINER: whose keys sign, else
								 * InvalidOid */
	int			min_rows;		/* fewer are sent with copies of the last */
	int			max_rows;		/* 1 for SINGLE and CHAT */
	int			max_bytes;
	int			concurrency;
	List	   *limits;			/* of DefElem: bounds of its own, by name */

	int			n_arguments;
	SmrtModelArgument *arguments;
	SmrtResultKind result;
	bool		is_set;			/* of such results */
	TupleDesc	tupdesc;		/* of a COMPOSITE, or of a set's rows */
	Oid			row_domain;		/* over that row type, or InvalidOid */
	int			n_columns;
	SmrtResultColumn *columns;
	int			n_predicted;	/* columns that are not bound */
	SmrtResultColumn *whole;	/* the column that takes all of a prediction;
								 * NULL: each takes a part */
} SmrtModel;

/*
 * Reads and checks what pg_proc says of a function, in the current memory
 * context.  Raises an error that names the option, argument or label that is
 * wrong, and holds nothing but memory then.
 */
extern SmrtModel *smrt_model_read(Oid function);

/*
 * What the planner has to know of a function, which is no error where the
 * definition is not valid: that is the business of the call, which may never be
 * made.
 */
typedef struct SmrtGlance
{
	bool		deterministic;
	bool		stream;
} SmrtGlance;

extern SmrtGlance smrt_model_glance(Oid function);

/*
 * A model that nobody declared, in the current memory context: every argument is
 * a field of CSV, or several if it is an array, and the answer is text.  max_rows
 * 0: the default.
 */
extern SmrtModel *smrt_model_undeclared(const char *endpoint, int max_rows,
										int n_arguments, const Oid *types);

/* The operation that asks the model. */
extern SmrtOperation smrt_model_operation(const SmrtModel *model);

/*
 * The media types that a model sends and asks for unless it says otherwise; NULL:
 * it asks for none.
 */
extern const char *smrt_model_content_type(const SmrtModel *model);
extern const char *smrt_model_accept(const SmrtModel *model);

/*
 * What is to be done now about a prediction that failed; where errors are data, at
 * least the NULL that has them beside it.
 */
extern SmrtOnError smrt_model_on_error(const SmrtModel *model);

extern SmrtRowKind smrt_model_row_kind(const SmrtModel *model);

#endif							/* SMRT_MODEL_MODEL_H */
