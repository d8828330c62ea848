/*
 * Templates.  A template is cut into pieces once, when the model is read, so that a
 * value that looks like a placeholder is never read as one.
 */
#include "postgres.h"

#include "model/jsonvalue.h"
#include "model/template.h"

typedef struct Piece
{
	const char *text;			/* of the database's encoding; NULL: an argument */
	int			argument;
} Piece;

struct SmrtTemplate
{
	List	   *pieces;			/* of Piece */
};

static void add_argument(SmrtTemplate *template, int argument);
static int	find_argument(const SmrtModel *model, const char *name);
static char *names_of(const SmrtModel *model);

SmrtTemplate *
smrt_template_parse(const SmrtModel *model, const char *text, char **problem)
{
	SmrtTemplate *template = palloc0(sizeof(SmrtTemplate));

	while (*text != '\0')
	{
		size_t		plain = strcspn(text, "{}");
		const char *end;
		char	   *name;
		int			argument;

		if (plain > 0 || text[0] == text[1])
		{
			/* Of a doubled brace the second is passed over. */
			bool		doubled = plain == 0;

			smrt_template_add_text(template, pnstrdup(text, doubled ? 1 : plain));
			text += doubled ? 2 : plain;
			continue;
		}
		end = text + 1 + strcspn(text + 1, "{}");
		if (*text == '}' || *end != '}')
		{
			*problem = psprintf("a brace alone is no placeholder: write \"%c%c\" for a brace",
								*text, *text);
			return NULL;
		}
		name = pnstrdup(text + 1, end - text - 1);
		argument = find_argument(model, name);
		if (argument < 0)
		{
			*problem = psprintf("there is no argument \"%s\", but %s; write \"{{\" for a brace",
								name, names_of(model));
			return NULL;
		}
		add_argument(template, argument);
		text = end + 1;
	}
	return template;
}

void
smrt_template_add_text(SmrtTemplate *template, const char *text)
{
	Piece	   *piece = palloc0(sizeof(Piece));

	piece->text = text;
	template->pieces = lappend(template->pieces, piece);
}

static void
add_argument(SmrtTemplate *template, int argument)
{
	Piece	   *piece = palloc0(sizeof(Piece));

	piece->argument = argument;
	template->pieces = lappend(template->pieces, piece);
}

/* By its name, or by its number from 1 on; -1: there is none. */
static int
find_argument(const SmrtModel *model, const char *name)
{
	for (int i = 0; i < model->n_arguments; i++)
		if (model->arguments[i].name != NULL &&
			strcmp(model->arguments[i].name, name) == 0)
			return i;
	for (int i = 0; i < model->n_arguments; i++)
		if (strcmp(psprintf("%d", i + 1), name) == 0)
			return i;
	return -1;
}

static char *
names_of(const SmrtModel *model)
{
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; i < model->n_arguments; i++)
		appendStringInfo(&all, "%s\"%s\"", i > 0 ? ", " : "",
						 model->arguments[i].name ? model->arguments[i].name :
						 psprintf("%d", i + 1));
	return all.data;
}

void
smrt_template_write(const SmrtTemplate *template, const SmrtModel *model,
					const Datum *values, const bool *nulls, SmrtBuf *body)
{
	ListCell   *cell;

	smrt_buf_append_char(body, '"');
	foreach(cell, template->pieces)
	{
		const Piece *piece = lfirst(cell);

		if (piece->text != NULL)
			smrt_jsonvalue_text(piece->text, body);
		else
			smrt_jsonvalue_characters(&model->arguments[piece->argument],
									  values[piece->argument],
									  nulls[piece->argument], model->nulls, body);
	}
	smrt_buf_append_char(body, '"');
}
